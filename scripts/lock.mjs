// A lock between processes, made of a folder (mkdir is atomic everywhere) that holds its owner's pid.
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const waitLimitMs = 20 * 60_000;
const unsignedLimitMs = 10_000;

/** Runs `action` while no other process holds `folder`; the lock of a process that died is taken over. */
export async function withLock(folder, ErrorClass, action) {
  await acquire(folder, ErrorClass);
  const release = () => rmSync(folder, { recursive: true, force: true });
  const releaseAndDie = (signal) => {
    release();
    process.kill(process.pid, signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, releaseAndDie);
  try {
    return await action();
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, releaseAndDie);
    release();
  }
}

async function acquire(folder, ErrorClass) {
  const deadline = Date.now() + waitLimitMs;
  let told = false;
  for (;;) {
    try {
      mkdirSync(folder);
      writeFileSync(join(folder, 'pid'), String(process.pid));
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const owner = ownerOf(folder);
    if (owner.dead) {
      takeAway(folder, owner.pid);
      continue;
    }
    if (Date.now() > deadline) {
      throw new ErrorClass(
        `Another set-up (pid ${owner.pid}) holds ${folder}: end it or delete that folder.`,
      );
    }
    if (!told) process.stderr.write('Waiting for another set-up of this checkout to end …\n');
    told = true;
    await sleep(250);
  }
}

function ownerOf(folder) {
  try {
    const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
    if (pid > 0) return { pid, dead: !isAlive(pid) };
  } catch {
    // Not written yet, or the owner died between making the folder and signing it.
  }
  try {
    return { pid: undefined, dead: Date.now() - statSync(folder).mtimeMs > unsignedLimitMs };
  } catch {
    return { pid: undefined, dead: false };
  }
}

/** Renames before deleting, so that of two processes that find the same dead lock only one removes it. */
function takeAway(folder, pid) {
  const aside = `${folder}.${process.pid}.${Date.now()}`;
  try {
    renameSync(folder, aside);
    if (ownerOf(aside).pid === pid) rmSync(aside, { recursive: true, force: true });
    else renameSync(aside, folder); // a living process took it over in between
  } catch {
    // Somebody else was quicker.
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
