import type { Credential } from '../domain/credential.ts';
import { bad, ok, passing, refusal, type Check, type Seen, type Trouble } from '../domain/diagnosis.ts';
import type { Survey } from '../domain/coverage.ts';
import { secretChecks, type CurrentValue, type Expected } from '../domain/diagnose-secret.ts';
import { WHO } from '../domain/diagnose-access.ts';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import { fingerprint } from '../domain/fingerprint.ts';
import type { Redacted } from '../domain/redacted.ts';
import { isTask } from '../domain/roots.ts';
import type { EngineDeps } from './deps.ts';
import { contextOf, loadCredential, upstream } from './state.ts';

/** What a diagnosis works with: it reads, and changes nothing. */
export type DiagnoseDeps = EngineDeps & {
  /** What an error of AWS says about the thing that was asked for. */
  readonly troubleOf: (error: unknown) => Trouble;
  /** Longest that one step at the target may take, in milliseconds. */
  readonly stepLimitMs: number;
};

/** What was seen of a credential in the role of the functions that work with it. */
export interface CredentialLook {
  readonly checks: readonly Check[];
  /**
   * What reading the administrative secret came to: whether one that is denied is there, this role can't tell. Absent
   * where the provider needs none.
   */
  readonly admin?: Seen<true>;
  /** What exists at the upstream for the credential's owner; absent where that can't be told. */
  readonly survey?: Survey;
}

/** Looks at a credential's secrets and target as a rotation would, and changes nothing. */
export async function diagnose(
  deps: DiagnoseDeps,
  expected: Expected,
  credentialId: string,
): Promise<CredentialLook> {
  const loaded = await seen(deps, async () => {
    const credential = await loadCredential(deps, credentialId);
    const { activeRotation } = credential;
    const rotation =
      activeRotation === undefined ? undefined : await deps.ledger.rotation(credentialId, activeRotation);
    return { credential, rotation };
  });
  if ('trouble' in loaded) return { checks: [unloaded(loaded.trouble)] };
  const { credential, rotation } = loaded.value;
  const [secret, admin] = await Promise.all([lookAtSecret(deps, credential), readAdmin(deps, credential)]);
  const { material } = secret;
  const [target, survey] = await Promise.all([
    credential.adoption === 'observed'
      ? observed(deps, credential, admin)
      : used(deps, credential, admin, material),
    surveyed(deps, credential, admin),
  ]);
  return {
    checks: [...secretChecks(credential, rotation, expected, secret, deps.clock()), ...target],
    ...(survey === undefined ? {} : { survey }),
    ...(admin === 'needless' ? {} : { admin: 'value' in admin ? { value: true } : admin }),
  };
}

function unloaded(trouble: Trouble): Check {
  const where = { ...WHO, service: 'DynamoDB' };
  return passing(
    'credential',
    'ledger',
    trouble === 'throttled' || trouble === 'no-answer' ? trouble : 'unexpected',
    where,
  );
}

async function lookAtSecret(deps: DiagnoseDeps, credential: Credential) {
  const secret = credential.secretArn ?? credential.secretName;
  const provider = await deps.providerFor(credential.type, credential.provider);
  let material: Redacted<unknown> | undefined;
  const [described, current] = await Promise.all([
    seen(deps, () => deps.vault.describe(secret)),
    seen(deps, async (): Promise<CurrentValue | undefined> => {
      const text = await deps.vault.read(secret, { stage: 'AWSCURRENT' });
      if (text === undefined) return undefined;
      try {
        material = provider.material(text);
        return { fingerprint: fingerprint(provider.secretPart(material)) };
      } catch (error) {
        if (!isRekeyError(error)) throw error;
        return { fault: error.toJSON() };
      }
    }),
  ]);
  return { described: present(described), current, ...(material === undefined ? {} : { material }) };
}

/** The administrative secret, where the provider needs one. */
type Admin = Seen<Redacted<string>> | 'needless';

async function readAdmin(deps: DiagnoseDeps, { type, provider, adminSecret }: Credential): Promise<Admin> {
  if ((await deps.providerFor(type, provider)).needsAdmin === false) return 'needless';
  if (adminSecret === undefined) return { trouble: 'absent' };
  return present(await seen(deps, () => deps.vault.read(adminSecret, { stage: 'AWSCURRENT' })));
}

/** What a rotation does first: logs in as the administrator, and as agents do with what they read. */
async function used(
  deps: DiagnoseDeps,
  credential: Credential,
  admin: Admin,
  material: Redacted<unknown> | undefined,
): Promise<Check[]> {
  const first = await administered(deps, credential, admin);
  // Where agents are halted, what they read must not let them in.
  if (material === undefined || credential.status !== 'active') return [...first.checks];
  const name = 'login';
  if (first.unreachable) {
    const detail = 'unknown until the target can be reached';
    return [...first.checks, bad('not-checked', 'target', name, detail, 'mend that first')];
  }
  const { provider, target, ctx } = await upstream(deps, credential);
  const second = await attempt(deps, name, async () => {
    await provider.verify(target, material, ctx);
    return [ok('target', name, 'what agents read logs in')];
  });
  return [...first.checks, ...second.checks];
}

/** Reached, let in, and able to do what a rotation asks of the administrator. */
async function administered(deps: DiagnoseDeps, credential: Credential, admin: Admin): Promise<Attempt> {
  const name = 'administered';
  const { provider, target, ctx } = await reached(deps, credential, admin);
  if (ctx === undefined) return { checks: [unasked(name)], unreachable: false };
  return attempt(deps, name, async () => {
    const notices = await provider.preflight(target, ctx);
    return [
      ok(
        'target',
        name,
        `reached, and ${admin === 'needless' ? 'Rekey’s own role' : 'the administrator'} may do what it must`,
      ),
      ...notices.map(({ field, message, remedy }) => bad('warn', 'target', field, message, remedy)),
    ];
  });
}

/** What a take-over would meet: nothing is refused, since nothing has to be done in mode observe. */
async function observed(deps: DiagnoseDeps, credential: Credential, admin: Admin): Promise<Check[]> {
  const name = 'take-over';
  // Of what a person replaces nothing is taken over.
  if (isTask(credential)) return [];
  const { provider, target, ctx } = await reached(deps, credential, admin);
  if (ctx === undefined) return credential.adminSecret === undefined ? [] : [unasked(name)];
  const { checks } = await attempt(deps, name, async () => {
    const blocks = (await provider.adoption?.dependencies(target, ctx))?.filter(
      ({ severity }) => severity === 'blocks',
    );
    return blocks === undefined || blocks.length === 0
      ? [ok('target', name, 'a rotation could keep what depends on the login')]
      : blocks.map(({ what, detail, remedy }) =>
          bad('warn', 'target', name, `a rotation could not keep ${what}: ${detail}`, remedy ?? 'remove it'),
        );
  });
  return checks.map((check) => (check.state === 'fail' ? { ...check, state: 'warn' } : check));
}

/** It is no fault of the credential where its upstream can't be looked through: its own checks say what is wrong there. */
async function surveyed(
  deps: DiagnoseDeps,
  credential: Credential,
  admin: Admin,
): Promise<Survey | undefined> {
  const { provider, target, ctx } = await reached(deps, credential, admin);
  if (ctx === undefined || provider.survey === undefined) return undefined;
  try {
    return await within(deps.stepLimitMs, provider.survey(target, ctx));
  } catch (error) {
    if (isRekeyError(error)) return undefined;
    throw error;
  }
}

/** The target with the administrative secret that was read before: what is checked of it is what logs in. */
async function reached(deps: DiagnoseDeps, credential: Credential, admin: Admin) {
  const { provider, target, ctx: own } = await upstream(deps, credential);
  if (admin === 'needless') return { provider, target, ctx: own };
  if ('trouble' in admin) return { provider, target };
  const ctx = contextOf(deps, async () => Promise.resolve(admin.value), credential);
  return { provider, target, ctx };
}

function unasked(name: string): Check {
  return bad(
    'not-checked',
    'target',
    name,
    'unknown until the administrative secret can be read',
    'mend what is said of the administrator first',
  );
}

interface Attempt {
  readonly checks: readonly Check[];
  /** Nobody answered: any further step would wait in vain. */
  readonly unreachable: boolean;
}

/** One step at the target, within its time. */
async function attempt(deps: DiagnoseDeps, name: string, step: () => Promise<Check[]>): Promise<Attempt> {
  try {
    return { checks: await within(deps.stepLimitMs, step()), unreachable: false };
  } catch (error) {
    const unreachable = isRekeyError(error, 'ERR_UNAVAILABLE', 'ERR_TIMEOUT');
    const check = isRekeyError(error)
      ? refusal('target', name, error.toJSON())
      : passing('target', name, 'unexpected', { ...WHO, service: 'the target' });
    return { checks: [check], unreachable };
  }
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new RekeyError('ERR_TIMEOUT', `the target did not answer in ${limitMs / 1000} s`, {
            field: 'target.host',
            remedy: 'look for locks and load at the target, and at the network path to it',
          }),
        ),
      limitMs,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function seen<T>(deps: DiagnoseDeps, look: () => Promise<T>): Promise<Seen<T>> {
  try {
    return { value: await look() };
  } catch (error) {
    return { trouble: deps.troubleOf(error) };
  }
}

/** What isn't there is a trouble here. */
function present<T>(found: Seen<T | undefined>): Seen<T> {
  if ('trouble' in found) return found;
  return found.value === undefined ? { trouble: 'absent' } : { value: found.value };
}
