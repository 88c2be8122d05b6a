import { opendir, readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import {
  isArchiveKey,
  type CopiedObject,
  type CopyFault,
  type KnownEnd,
} from '../shared/domain/archive-copy.ts';
import { Failure, usage } from './failure.ts';

/** Files that are read at once. */
const BATCH = 64;

/** Far above what the ledger takes in an item: nothing of the archiver's is larger. */
const MAX_OBJECT_BYTES = 4 * 1024 * 1024;

/** Objects that were read together, and what of them could not be one. */
export interface Batch {
  readonly objects: readonly CopiedObject[];
  readonly faults: readonly CopyFault[];
}

/** All files below a folder in the order of their names, some at a time: the days of a credential follow each other. */
export async function* objectsIn(folder: string): AsyncGenerator<Batch> {
  await refuseOther(folder);
  yield* below(folder, '');
}

async function* below(folder: string, prefix: string): AsyncGenerator<Batch> {
  const entries = (await readdir(join(folder, prefix), { withFileTypes: true })).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
  const files = entries.filter((entry) => !entry.isDirectory());
  for (let at = 0; at < files.length; at += BATCH) {
    const some = files.slice(at, at + BATCH);
    const read = await Promise.all(
      // A link or a device is nobody's copy of an object.
      some.map(async (entry) =>
        entry.isFile() ? objectAt(folder, prefix + entry.name) : foreign(prefix + entry.name),
      ),
    );
    yield {
      objects: read.filter((each): each is CopiedObject => 'content' in each),
      faults: read.filter((each): each is CopyFault => 'fault' in each),
    };
  }
  for (const entry of entries) if (entry.isDirectory()) yield* below(folder, `${prefix}${entry.name}/`);
}

async function objectAt(folder: string, key: string): Promise<CopiedObject | CopyFault> {
  if (!isArchiveKey(key)) return foreign(key);
  const path = join(folder, key);
  try {
    const { size } = await stat(path);
    return size > MAX_OBJECT_BYTES ? { fault: 'form', key } : { key, content: await readFile(path) };
  } catch (error) {
    throw new Failure('ERR_FILE', `${path} can't be read: ${errorText(error)}`, {
      remedy: 'make the whole copy readable to you, and check it again',
    });
  }
}

function foreign(key: string): CopyFault {
  return { fault: 'foreign', key };
}

async function refuseOther(folder: string): Promise<void> {
  try {
    await (await opendir(folder)).close();
  } catch (error) {
    throw usage(`--archive ${folder}: ${errorText(error)}`, 'name the folder that `aws s3 sync` has filled');
  }
}

const end = z.object({ credentialId: z.string(), seq: z.int().min(1), hash: z.string() });

const ends = z.union([
  z.object({ chains: z.array(end) }).transform(({ chains }) => chains),
  z.object({ chain: z.object({ ends: z.array(end) }) }).transform(({ chain }) => chain.ends),
]);

/** Ends of chains, from what `rekey audit --json` has printed of a deployment or of an earlier copy. */
export async function readEnds(path: string, cwd: string): Promise<KnownEnd[]> {
  const { success, data } = ends.safeParse(await json('--against', path, cwd));
  if (success) return data;
  throw usage(
    `--against ${path}: this is no answer of \`rekey audit --json\` that has the ends of chains`,
    'a deployment of an older version does not tell them: deploy this one, or use an earlier check of a copy',
  );
}

const version = z.object({ Key: z.string(), VersionId: z.string().optional(), IsLatest: z.boolean() });

const listing = z.object({
  // A bucket with a copy has versions: without the name it is another answer.
  Versions: z.array(version).nullable(),
  DeleteMarkers: z.array(version.pick({ Key: true, VersionId: true })).nullish(),
});

/** What a listing of versions shows and a copy can't: objects that are hidden, or were written over. */
export async function readVersions(path: string, cwd: string): Promise<CopyFault[]> {
  const { success, data } = listing.safeParse(await json('--versions', path, cwd));
  if (!success) {
    throw usage(
      `--versions ${path}: this is no answer of s3api list-object-versions`,
      'write it with `aws s3api list-object-versions --bucket BUCKET --output json`',
    );
  }
  const earlier = (data.Versions ?? []).filter(({ IsLatest }) => !IsLatest);
  return [
    ...(data.DeleteMarkers ?? []).map((each) => faultOf('hidden', each)),
    ...earlier.map((each) => faultOf('overwritten', each)),
  ];
}

function faultOf(
  fault: 'hidden' | 'overwritten',
  { Key, VersionId }: { Key: string; VersionId?: string | undefined },
): CopyFault {
  return { fault, key: Key, ...(VersionId === undefined ? {} : { detail: `version ${VersionId}` }) };
}

async function json(option: string, path: string, cwd: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(resolve(cwd, path), 'utf8'));
  } catch (error) {
    throw usage(`${option} ${path}: ${errorText(error)}`);
  }
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
