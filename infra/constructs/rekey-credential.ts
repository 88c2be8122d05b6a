import { CfnOutput, Names, Stack, Stage, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { DECLARATION_VERSION } from '../../shared/domain/declaration-form.ts';
import { parseEntry, type CredentialEntry } from '../../shared/domain/declaration.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { assertForeignHost } from '../../shared/domain/foreign-host.ts';
import { CREDENTIAL_OUTPUT } from '../../shared/names.ts';

/** An entry of `rekey.yaml`, with the same fields (docs/rekey.schema.json). */
export type RekeyCredentialProps = CredentialEntry;

/** Fields whose values may be known only after the deployment, such as the address of a cluster. */
const DEPLOY_TIME: ReadonlySet<string> = new Set(['target', 'admin']);

/**
 * Declares a credential beside the stack that it belongs to. It creates nothing and grants nothing: it emits the entry,
 * as a declaration file in an output of the stack, and `rekey apply --outputs` registers what outputs say (ADR 017).
 * Taking it away unregisters nothing.
 */
export class RekeyCredential extends Construct {
  readonly entry: CredentialEntry;

  /** @throws RekeyError as `rekey apply` would, with the field at fault. */
  constructor(scope: Construct, id: string, props: RekeyCredentialProps) {
    super(scope, id);
    this.entry = told(this.node.path, () => {
      assertKnown(props);
      const entry = parseEntry(props, { now: Date.now(), limits: { minWindowSeconds: 1 } });
      if (!Token.isUnresolved(entry.target['host'])) assertForeignHost(entry.target);
      this.#assertUnique(entry);
      return entry;
    });
    const output = new CfnOutput(this, 'Entry', {
      description: `Entry of rekey.yaml: ${this.entry.name}`,
      value: Stack.of(this).toJsonString({ version: DECLARATION_VERSION, credentials: [this.entry] }),
    });
    output.overrideLogicalId(`${CREDENTIAL_OUTPUT}${Names.uniqueResourceName(this, { maxLength: 128 })}`);
  }

  /** Names and secrets are unique in a tenant; what other apps declare, only the API knows. */
  #assertUnique(declared: CredentialEntry): void {
    // A construct that was refused stays in the tree, without an entry.
    const others = (Stage.of(this) ?? this.node.root).node
      .findAll()
      .filter((each) => each instanceof RekeyCredential)
      .filter((each) => each !== this);
    for (const key of ['name', 'secret'] as const) {
      const other = others.find(({ entry }: { entry?: CredentialEntry }) => entry?.[key] === declared[key]);
      if (other === undefined) continue;
      throw new RekeyError('ERR_DECLARATION', `${key}: ${other.node.path} has "${declared[key]}" as well`, {
        field: key,
        remedy: `give each credential its own ${key}`,
      });
    }
  }
}

/** CDK prints a message and nothing else: it says where, everything that is wrong, and what to do about each. */
function told<T>(path: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof RekeyError)) throw error;
    const { code, field = '', remedy = '' } = error;
    const lines = [error, ...error.also].map((each) => `\n  - ${placed(each)}; ${each.remedy ?? ''}`);
    throw new RekeyError(code, `${code}: ${path} can't be declared:${lines.join('')}`, {
      field,
      remedy,
      cause: error,
    });
  }
}

function placed({ field, message }: RekeyError): string {
  return field === undefined || message.startsWith(field) ? message : `${field}: ${message}`;
}

/** What decides about names and policies must stand in the template for a reviewer to read. */
function assertKnown(props: RekeyCredentialProps): void {
  for (const [field, value] of Object.entries(props)) {
    if (DEPLOY_TIME.has(field) || !holdsToken(value)) continue;
    throw new RekeyError('ERR_DECLARATION', `${field}: its value is known only after the deployment`, {
      field,
      remedy: 'write it as text; only target and admin take values of the stack',
    });
  }
}

function holdsToken(value: unknown): boolean {
  if (Token.isUnresolved(value)) return true;
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsToken);
}
