import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { brokenPromises, timeline, type DemoReport } from './report.ts';
import { audit, registerCredentials, revokeInEmergency, rotateUnderLoad } from './scenario.ts';
import { startWorld, type World } from './world.ts';

const { json } = new Command('npm run demo --')
  .description(
    'Deploys Rekey into a local AWS emulator, rotates one database credential and revokes another.',
  )
  .option('--json <file>', 'write the result as JSON')
  .parse()
  .opts<{ json?: string }>();

const began = Date.now();
const colour = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
const tell = (line: string): void => {
  console.log(`${paint(2, `${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s`)}  ${line}`);
};
const title = (text: string): void => console.log(`\n${paint(1, text)}`);

let world: World | undefined;
try {
  title('Deploying Rekey into a local AWS');
  world = await startWorld(tell);
  await registerCredentials(world, tell);
  title('Rotating under load');
  const rotation = await rotateUnderLoad(world, tell);
  title('Revoking in an emergency');
  const emergency = await revokeInEmergency(world, tell);
  title('The auditor asks: all rotations, and is the old credential off?');
  const { report, moments } = await audit(world, tell);
  title('Timeline, from the archive');
  console.log(timeline(moments));
  const result: DemoReport = {
    rotation,
    emergency,
    audit: report,
    seconds: Math.round((Date.now() - began) / 1000),
  };
  if (json !== undefined) await writeFile(json, `${JSON.stringify(result, null, 2)}\n`);
  summarise(result);
} catch (error) {
  console.error(
    `\n${paint(31, 'The demo stopped:')} ${error instanceof Error ? error.message : String(error)}`,
  );
  process.exitCode = 1;
} finally {
  await world?.stop();
}

function summarise(result: DemoReport): void {
  const broken = brokenPromises(result);
  title(broken.length === 0 ? paint(32, 'Every promise was kept') : paint(31, 'Broken promises'));
  for (const line of broken) console.log(`  - ${line}`);
  if (broken.length > 0) process.exitCode = 1;
  const { rotation, emergency, audit: trail } = result;
  console.log(
    `  ${rotation.queries} queries with ${rotation.authFailures} authentication failures through the rotation; ` +
      `revoked in ${emergency.secondsToRevoke} s; ${trail.records} audit records, ${trail.archived} archived, ` +
      `${trail.gaps} gaps; ${result.seconds} s in all`,
  );
}
