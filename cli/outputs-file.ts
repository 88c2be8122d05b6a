import { resolve } from 'node:path';
import { DECLARATION_VERSION } from '../shared/domain/declaration-form.ts';
import { parseDeclaration } from '../shared/domain/declaration.ts';
import { CREDENTIAL_OUTPUT } from '../shared/names.ts';
import { readText, refused, shownPath, type DeclarationFile } from './declaration-file.ts';
import { allOf, Failure, usage } from './failure.ts';

/** An entry that a stack has emitted, and the output that it stands in. */
interface Emitted {
  readonly output: string;
  readonly entry: unknown;
}

/**
 * Reads the entries that `RekeyCredential` constructs have emitted from what `cdk deploy --outputs-file` writes. They are
 * checked like those of a declaration file; a mistake names its output.
 * @throws Failures
 */
export async function readOutputs(path: string, cwd: string, now: number): Promise<DeclarationFile> {
  const shown = shownPath(cwd, path);
  const emitted = emittedIn(await readText(resolve(cwd, path), shown), shown);
  if (emitted.length === 0) {
    throw usage(
      `${shown} holds no output of a RekeyCredential`,
      'write it with cdk deploy --outputs-file, for the stacks that declare credentials',
    );
  }
  const located = (failure: Failure): Failure => {
    const { code, message, field, remedy, exit } = failure;
    const index = /^credentials\[(\d+)\]/.exec(field ?? '')?.[1];
    const output = index === undefined ? undefined : emitted[Number(index)]?.output;
    const place = output === undefined ? shown : `${shown}: ${output}`;
    return new Failure(code, `${place}: ${message}`, { field, remedy, exit, cause: failure });
  };
  try {
    const content = { version: DECLARATION_VERSION, credentials: emitted.map(({ entry }) => entry) };
    const declared = parseDeclaration(content, { now, limits: { minWindowSeconds: 1 } });
    return { path: shown, ...declared, located };
  } catch (error) {
    throw refused(allOf(error).map(located));
  }
}

function emittedIn(text: string, shown: string): Emitted[] {
  const stacks = objectOf(text);
  if (stacks === undefined) throw usage(`${shown} is not a JSON object, as cdk deploy --outputs-file writes`);
  return Object.entries(stacks).flatMap(([stack, outputs]) =>
    Object.entries(typeof outputs === 'object' && outputs !== null ? outputs : {})
      .filter(([key]) => key.startsWith(CREDENTIAL_OUTPUT))
      .flatMap(([key, value]) => entriesOf(value, `${stack}.${key}`, shown)),
  );
}

function entriesOf(value: unknown, output: string, shown: string): Emitted[] {
  const declaration = objectOf(value);
  if (declaration?.['version'] === DECLARATION_VERSION && Array.isArray(declaration['credentials'])) {
    return declaration['credentials'].map((entry: unknown) => ({ output, entry }));
  }
  throw refused([
    new Failure(
      'ERR_DECLARATION',
      `${shown}: ${output}: not a declaration of version ${DECLARATION_VERSION}`,
      {
        field: output,
        remedy: 'deploy the stack with the construct of the same version as this command line',
      },
    ),
  ]);
}

/** Text of a JSON object. */
function objectOf(text: unknown): Record<string, unknown> | undefined {
  if (typeof text !== 'string') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
    return undefined;
  } catch {
    return undefined;
  }
}
