import { resolve } from 'node:path';
import { ArchiveCopy, type CopyFault, type CopyReport } from '../../shared/domain/archive-copy.ts';
import { objectsIn, readEnds, readVersions } from '../archive-folder.ts';
import type { Context } from '../context.ts';
import { EXIT, usage } from '../failure.ts';
import { foreign, type Output } from '../io.ts';
import { shortPrint, when } from '../render.ts';

/** What a copy is held against, beside itself. */
export interface CopyOptions {
  readonly against?: string | undefined;
  readonly versions?: string | undefined;
}

const SHOW_AFTER_MS = 2000;

/** Faults that people are shown; `--json` has all. */
const MAX_SHOWN = 100;

/** `rekey audit --archive FOLDER`: whether a copy of the archive is whole. It asks nobody. */
export async function auditArchive(
  { out }: Context,
  folder: string,
  { against, versions }: CopyOptions,
): Promise<number> {
  const { cwd } = out.io;
  const copy = new ArchiveCopy(against === undefined ? [] : await readEnds(against, cwd));
  if (versions !== undefined) copy.blame(...(await readVersions(versions, cwd)));
  const began = out.io.now();
  let looked = 0;
  for await (const { objects, faults } of objectsIn(resolve(cwd, folder))) {
    copy.add(objects);
    copy.blame(...faults);
    looked += objects.length + faults.length;
    if (out.io.now() - began > SHOW_AFTER_MS) out.progress(`checking the copy … ${looked} objects`);
  }
  const report = copy.report();
  if (report.records === 0) {
    throw usage(
      `--archive ${folder}: no record of an archive is in it`,
      'name the folder into which the whole bucket was copied: it has the folder records/',
    );
  }
  out.data({ ...report, versions: versions !== undefined });
  render(out, report, { against, versions });
  return report.faults.length === 0 ? EXIT.ok : EXIT.faults;
}

function render(
  out: Output,
  { records, uses, days, chains, held, faults }: CopyReport,
  { against, versions }: CopyOptions,
): void {
  const [first] = days;
  out.line(
    `${records} records of ${chains.length} chain${chains.length === 1 ? '' : 's'} on ${days.length} days, ${first?.day} to ${days.at(-1)?.day}; ${uses} reports of uses`,
  );
  out.table(
    ['CREDENTIAL', 'ID', 'RECORDS', 'NEWEST', 'AT', 'TELLS', 'HASH'],
    chains.map(({ name, credentialId, records: own, seq, to, action, hash }) => [
      foreign(name),
      foreign(credentialId),
      String(own),
      String(seq),
      when(to),
      foreign(action),
      shortPrint(foreign(hash)),
    ]),
  );
  for (const fault of faults.slice(0, MAX_SHOWN)) out.line(`  ${textOf(fault)}`);
  if (faults.length > MAX_SHOWN) out.line(`  … and ${faults.length - MAX_SHOWN} more: --json has all`);
  if (against === undefined) {
    out.line(
      'Whether a chain went on is not in the copy: --against holds it against `rekey audit --json`, or an earlier check.',
    );
  } else {
    const told = `${held} of ${chains.length} chains were held against ${against}.`;
    out.line(held === 0 ? out.style('yellow', `${told} It names none of them.`) : told);
  }
  if (versions === undefined) {
    out.line(
      'Nor are delete markers and earlier versions: --versions takes what `aws s3api list-object-versions` prints.',
    );
  }
  // Last, where nothing that the copy says can stand below it.
  out.line(
    faults.length === 0
      ? out.style(
          'green',
          'The copy is whole in itself: each object is what its name says, and each chain goes from 1 to its newest record.',
        )
      : out.style('red', `The copy has ${faults.length} fault${faults.length === 1 ? '' : 's'}.`),
  );
}

/** By fault, what is said of it. */
const WHAT: Readonly<Record<CopyFault['fault'], string>> = {
  gap: 'no record',
  duplicate: 'two records',
  hash: 'the record was changed: its hash is another',
  link: 'the record does not follow the one before',
  'beyond-head': 'the record is past the end',
  content: 'was changed: its name has the hash of another content',
  form: 'holds nothing that the archiver writes',
  place: 'holds what belongs under another name',
  foreign: 'is nothing that the archiver writes',
  tampering: 'the ledger was tampered with',
  lost: 'is known from elsewhere, and not in the copy',
  rewritten: 'is known from elsewhere with another hash',
  hidden: 'is hidden by a delete marker',
  overwritten: 'was written over: an earlier version is in the bucket',
};

function textOf({ fault, key, credentialId, seq, to, detail }: CopyFault): string {
  const numbers = to === undefined || to === seq ? `record ${seq}` : `records ${seq} to ${to}`;
  const where = foreign(key ?? `${numbers} of ${credentialId}`);
  return `${fault}  ${where}: ${WHAT[fault]}${detail === undefined ? '' : ` (${foreign(detail)})`}`;
}
