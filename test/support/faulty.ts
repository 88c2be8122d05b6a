import { RekeyError } from '../../shared/domain/errors.ts';
import type { HolderDeps } from '../../shared/engine/holders.ts';
import type { EventPublisher } from '../../shared/ports/events.ts';
import type { AnyProvider, Reach } from '../../shared/providers/provider.ts';

/** The process died. Step Functions sees a function that ends so as `Sandbox.Timedout`. */
export class Killed extends Error {
  constructor(at: string) {
    super(`killed at ${at}`);
    this.name = 'Sandbox.Timedout';
  }
}

/**
 * `before`: the process dies before the call. `after`: the call is made, then the process dies. `lost`: the call is
 * made, but its answer never comes and the client gives up. `throttled`: the call is refused `times` times.
 */
export type FaultMode = 'before' | 'after' | 'lost' | 'throttled';

export interface Fault {
  /** Number of the side-effecting call, from 1, or a label: then the first call of it, whatever runs beside it. */
  readonly at: number | string;
  readonly mode: FaultMode;
}

/** Side effects of each port; every one is numbered. */
const EFFECTS: Readonly<
  Record<'ledger' | 'vault' | 'workflow' | 'events' | 'watch' | 'sealer', readonly string[]>
> = {
  ledger: ['create', 'commit', 'attach', 'release', 'claim', 'unclaim'],
  vault: [
    'put',
    'promote',
    'stripPending',
    'create',
    'discard',
    'configureRotation',
    'cancelRotation',
    'tag',
    'untag',
    'rotate',
  ],
  workflow: ['startLifecycle', 'startEmergency', 'answer'],
  events: ['publish'],
  watch: ['redeploy'],
  sealer: ['seal'],
};
const PROVIDER_EFFECTS = ['issue', 'activate', 'revoke'];
/** What leaves the process without changing anything; an interlude may come before each. */
const LOOKS = [
  'credential',
  'rotation',
  'idByName',
  'idBySecret',
  'idByTarget',
  'describe',
  'read',
  'readVersion',
  'verify',
  'list',
  'usage',
  'service',
  'function',
  'sessions',
  'acknowledgements',
  'pact',
  'unfinished',
  'turns',
];

const THROTTLED_TIMES = 2;

/** Numbers the side-effecting calls of all processes of one case, and lets one of them go wrong. */
export class Calls {
  /** Names of the calls while counting, in order. */
  readonly labels: string[] = [];
  /** Names of side effects and reads alike. */
  readonly moments: string[] = [];
  /** Runs before each side effect, counted or not: what others see and do in between. */
  between: (label: string) => Promise<void> = async () => undefined;
  /** Runs once, before the moment of this number: somebody else acts while a process stands still there. */
  interlude: { readonly at: number; readonly act: () => Promise<void> } | undefined;
  #counting = false;
  #fault: Fault | undefined;
  #throttled = { label: '', left: 0 };

  /** Whether the fault has happened. */
  struck = false;

  arm(fault?: Fault): void {
    this.#counting = true;
    this.#fault = fault;
  }

  disarm(): void {
    this.#counting = false;
  }

  /** Counts a moment at which a process may stand still while somebody else acts. */
  async moment(label: string): Promise<void> {
    if (!this.#counting) return;
    this.moments.push(label);
    if (this.interlude?.at !== this.moments.length) return;
    this.#counting = false;
    await this.interlude.act();
    this.struck = true;
  }

  #hits(at: number | string, label: string): boolean {
    return typeof at === 'number' ? at === this.labels.length : at === label && !this.struck;
  }

  async around<T>(process: Process, label: string, work: () => Promise<T>): Promise<T> {
    process.assertAlive(label);
    await this.between(label);
    process.assertAlive(label);
    await this.moment(label);
    if (!this.#counting) return work();
    this.labels.push(label);
    if (this.#throttled.left > 0 && this.#throttled.label === label) {
      this.#throttled.left--;
      throw refusal(label);
    }
    if (this.#fault === undefined || !this.#hits(this.#fault.at, label)) return work();
    this.struck = true;
    switch (this.#fault.mode) {
      case 'before':
        throw process.kill(`${label} (before)`);
      case 'after':
        await work();
        throw process.kill(`${label} (after)`);
      case 'lost':
        await work();
        throw refusal(label);
      case 'throttled':
        this.#throttled = { label, left: THROTTLED_TIMES - 1 };
        throw refusal(label);
    }
  }
}

function refusal(label: string): RekeyError {
  return new RekeyError('ERR_UNAVAILABLE', `injected: ${label}`);
}

/** One invocation of a function: once killed, nothing of it goes on. */
export class Process {
  #dead: Killed | undefined;
  #die: (error: Killed) => void = () => undefined;
  /** Rejects when the process is killed. */
  readonly death: Promise<never>;

  constructor() {
    this.death = new Promise((_resolve, reject) => {
      this.#die = reject;
    });
    this.death.catch(() => undefined);
  }

  kill(at: string): Killed {
    this.#dead ??= new Killed(at);
    this.#die(this.#dead);
    return this.#dead;
  }

  assertAlive(at: string): void {
    if (this.#dead !== undefined) throw new Killed(at);
  }
}

/** What a process of the engine works with, including the publisher of the emergency's functions. */
export type ProcessDeps = HolderDeps & { readonly events: EventPublisher };

/** `deps` as seen by `process`: every side effect goes through `calls`, and nothing works once it is dead. */
export function faulty<D extends ProcessDeps>(deps: D, calls: Calls, process: Process): D {
  const port = <T extends object>(target: T, name: keyof typeof EFFECTS): T =>
    guarded(target, name, EFFECTS[name], calls, process);
  return {
    ...deps,
    ledger: port(deps.ledger, 'ledger'),
    agents: guarded(deps.agents, 'agents', [], calls, process),
    vault: port(deps.vault, 'vault'),
    workflow: port(deps.workflow, 'workflow'),
    events: port(deps.events, 'events'),
    watch: port(deps.watch, 'watch'),
    sealer: port(deps.sealer, 'sealer'),
    reach: faultyReach(deps.reach, calls, process),
    providerFor: async (type: string, provider: string) =>
      faultyProvider(await deps.providerFor(type, provider), calls, process),
  };
}

/** What providers of identities write to: the directory, and KMS. */
function faultyReach({ identities, aws, ...reach }: Reach, calls: Calls, process: Process): Reach {
  return {
    ...reach,
    ...(aws && { aws: guarded(aws, 'aws', ['request'], calls, process) }),
    ...(identities && {
      identities: {
        ...identities,
        directory: guarded(identities.directory, 'directory', ['write'], calls, process),
        leaves: guarded(identities.leaves, 'leaves', ['record'], calls, process),
        revocations: guarded(identities.revocations, 'revocations', ['write'], calls, process),
        sealer: guarded(identities.sealer, 'identities', ['seal'], calls, process),
      },
    }),
  };
}

function faultyProvider(provider: AnyProvider, calls: Calls, process: Process): AnyProvider {
  const { suspension, adoption } = provider;
  const wrapped = guarded(provider, 'provider', PROVIDER_EFFECTS, calls, process);
  const groups: Record<PropertyKey, unknown> = {
    suspension: suspension && guarded(suspension, 'provider', ['suspend', 'restore'], calls, process),
    adoption: adoption && guarded(adoption, 'provider', ['adopt', 'release'], calls, process),
  };
  return new Proxy(wrapped, {
    get: (target, key, receiver) => groups[key] ?? Reflect.get(target, key, receiver),
  });
}

/** `target` as seen by a process: the calls named `effects` are numbered and may go wrong, and nothing works once it is dead. */
export function guarded<T extends object>(
  target: T,
  name: string,
  effects: readonly string[],
  calls: Calls,
  process: Process,
): T {
  return new Proxy(target, {
    get(original, key) {
      const value: unknown = Reflect.get(original, key);
      if (typeof value !== 'function') return value;
      const call = (...args: unknown[]): unknown => Reflect.apply(value, original, args);
      if (!effects.includes(String(key))) {
        const label = `${name}.${String(key)}`;
        if (LOOKS.includes(String(key))) {
          return async (...args: unknown[]) => {
            process.assertAlive(label);
            await calls.moment(label);
            return await call(...args);
          };
        }
        return (...args: unknown[]) => {
          process.assertAlive(label);
          return call(...args);
        };
      }
      return (...args: unknown[]) =>
        calls.around(process, `${name}.${String(key)}`, async () => await call(...args));
    },
  });
}
