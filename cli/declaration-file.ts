import { readFile } from 'node:fs/promises';
import { isAbsolute, relative, resolve } from 'node:path';
import { isAlias, isMap, isPair, isScalar, isSeq, LineCounter, parseDocument, type Document } from 'yaml';
import { parseDeclaration, type CredentialEntry, type FamilyEntry } from '../shared/domain/declaration.ts';
import type { ErrorCode } from '../shared/domain/errors.ts';
import { allOf, Failure, Failures, usage } from './failure.ts';

const MAX_BYTES = 10 * 1024 * 1024;

/** Mistakes of one file that are told to people. */
const MAX_SHOWN = 10;

/** A declaration file that has been checked, and where each of its fields stands. */
export interface DeclarationFile {
  readonly path: string;
  readonly credentials: readonly CredentialEntry[];
  /** Administrative credentials, in the same form. */
  readonly roots: readonly CredentialEntry[];
  readonly families: readonly FamilyEntry[];
  /** The failure with file, line and column of its field in front. */
  located(failure: Failure): Failure;
}

/** A YAML file that has been read, and where each of its fields stands. */
export interface YamlFile {
  readonly path: string;
  readonly content: unknown;
  /** The failure with file, line and column of its field in front. */
  located(failure: Failure): Failure;
}

/**
 * Reads and checks a declaration file: YAML first, then every entry, then the whole. All that is wrong is reported at
 * once, each with its line. How small a window may be is the deployment's own setting, which only the API knows.
 * @throws Failures
 */
export async function readDeclaration(path: string, cwd: string, now: number): Promise<DeclarationFile> {
  const { content, ...file } = await readYaml(path, cwd, DECLARATION);
  if (isNone(content)) {
    throw refused([
      new Failure(
        'ERR_DECLARATION',
        `${file.path}:1:1: this is no declaration: it has neither "version" nor "credentials", "roots" or "families"`,
        {
          remedy:
            'examples/rekey.yaml shows the form; `rekey import` proposes entries for secrets that exist',
        },
      ),
    ]);
  }
  try {
    const declared = parseDeclaration(content, { now, limits: { minWindowSeconds: 1 } });
    return { ...file, ...declared };
  } catch (error) {
    throw refused(allOf(error).map((failure) => file.located(failure)));
  }
}

/** What is said of a file that isn't what it should be. */
export interface FileKind {
  /** Code of a mistake in it. */
  readonly code: ErrorCode;
  /** What to do about a mistake in its YAML. */
  readonly form: string;
  /** What to do where there is none. */
  readonly missing: string;
}

const DECLARATION: FileKind = {
  code: 'ERR_DECLARATION',
  form: 'correct the YAML; examples/rekey.yaml shows the form',
  missing:
    'pass the declaration file with -f (examples/rekey.yaml is one to start from), or what a stack emits with --outputs',
};

/** Reads a YAML file. @throws Failures */
export async function readYaml(path: string, cwd: string, kind: FileKind): Promise<YamlFile> {
  const shown = shownPath(cwd, path);
  const text = await readText(resolve(cwd, path), shown, kind.missing);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const syntax = [...document.errors, ...document.warnings].map(({ message, pos }) => {
    const { line, col } = lines.linePos(pos[0]);
    return new Failure(kind.code, `${shown}:${line}:${col}: ${message}`, { remedy: kind.form });
  });
  if (syntax.length > 0) throw refused(syntax);
  const located = (failure: Failure): Failure => {
    const { line, col } = lines.linePos(offsetOf(document, failure.field ?? ''));
    const { code, message, field, remedy, exit } = failure;
    return new Failure(code, `${shown}:${line}:${col}: ${message}`, { field, remedy, exit, cause: failure });
  };
  try {
    return { path: shown, content: document.toJS(), located };
  } catch (error) {
    // More aliases than such a file has use for.
    throw usage(`${shown}: ${error instanceof Error ? error.message : 'not readable as YAML'}`);
  }
}

/** Short where the file lies below the working directory, else as it was given: never a way up that nobody typed. */
export function shownPath(cwd: string, path: string): string {
  const below = relative(cwd, resolve(cwd, path));
  return below === '' || below.startsWith('..') || isAbsolute(below) ? path : below;
}

/** All that is wrong with a file; people are told of the first, which explain most of the others. */
export function refused(failures: readonly Failure[], consequence = 'nothing was sent'): Failures {
  const count = failures.length === 1 ? '1 error' : `${failures.length} errors`;
  const more =
    failures.length > MAX_SHOWN ? `, of which these are the first ${MAX_SHOWN} (--json has all)` : '';
  return new Failures(failures, `${count} in the file${more}; ${consequence}`, MAX_SHOWN);
}

/** Whether somebody has given a file that was never meant as one: its fields would be so many mistakes. */
function isNone(content: unknown): boolean {
  if (typeof content !== 'object' || content === null) return true;
  return !['version', 'credentials', 'roots'].some((key) => key in content);
}

/** Text of a file. @throws Failure */
export async function readText(
  path: string,
  shown: string,
  missing: string = DECLARATION.missing,
): Promise<string> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length <= MAX_BYTES) return text;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw usage(
      code === 'ENOENT' ? `there is no file ${shown}` : `${shown} can't be read (${code})`,
      missing,
    );
  }
  throw usage(`${shown} is larger than ${MAX_BYTES / 1024 / 1024} MB`);
}

/** Where the field stands, or as much of its path as the file has. */
function offsetOf(document: Document.Parsed, field: string): number {
  const path = [...field.matchAll(/[^.[\]]+/g)].map(([part]) => part);
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? 0;
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === part);
      if (!isPair(pair)) break;
      offset = (isScalar(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      offset = startOf(node) ?? offset;
    } else break;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  if (isMap(node) || isSeq(node) || isScalar(node) || isAlias(node)) return node.range?.[0];
  return undefined;
}
