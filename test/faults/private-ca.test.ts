import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseEntry, type CredentialEntry } from '../../shared/domain/declaration.ts';
import { isHeld } from '../../shared/domain/directory.ts';
import type { PrivateCaMaterial } from '../../shared/providers/private-ca/material.ts';
import { idOf } from '../../shared/providers/x509/authority.ts';
import { leafWithKey } from '../contract/cases/private-ca.ts';
import { opensslTakes } from '../contract/cases/x509.ts';
import { FakePrivateCa } from '../fakes/private-ca.ts';
import type { Login } from '../support/agents.ts';
import { ServedDirectory } from '../support/directory.ts';
import { EngineCase } from '../support/engine-case.ts';
import { EngineWorld } from '../support/engine-world.ts';

let world: EngineWorld;
let fake: FakePrivateCa;
let served: ServedDirectory;
beforeAll(async () => {
  [world, fake, served] = await Promise.all([
    EngineWorld.start(),
    FakePrivateCa.start(),
    ServedDirectory.start(),
  ]);
});
afterAll(async () => {
  await Promise.all([served[Symbol.asyncDispose](), fake[Symbol.asyncDispose](), world.stop()]);
});

/** Whose certificates there are; without one a declaration gets a notice. */
const PRINCIPAL = 'arn:aws:iam::111122223333:role/fleet';

let count = 0;

/** The life of a credential whose upstream is AWS Private CA; openssl says whether it works. */
class PrivateCaCase extends EngineCase {
  override readonly declaration: CredentialEntry;
  readonly set: string;
  readonly #read = new Map<string, PrivateCaMaterial>();

  constructor(authorities: readonly string[]) {
    const number = 30_000 + ++count;
    super(world, { number, policy: {}, holders: [] });
    this.set = `set-${number}`;
    this.declaration = this.declared({ authorities });
    this.change = (deps) => ({
      ...deps,
      clock: this.time.now,
      reach: { ...served.context().reach, aws: fake.aws },
    });
    served.clock = this.time.now;
  }

  /** As an operator declares it. */
  declared(target: object): CredentialEntry {
    const fixed = { name: this.set, trustDomain: 'shop.example', leafSeconds: 10, cacheSeconds: 1 };
    return parseEntry({
      name: this.name,
      type: 'certificate-authority',
      provider: 'private-ca',
      secret: this.secret,
      target: { ...fixed, clockSkewSeconds: 1, ...target },
      holders: [{ kind: 'polling', name: 'fleet', ttl: '60s', principal: PRINCIPAL }],
      policy: { interval: '1d', evidenceOfUse: 'holders' },
    });
  }

  override async login(): Promise<Login> {
    const text = await this.deps.vault.read(this.secret, { stage: 'AWSCURRENT' });
    const material = JSON.parse(text?.reveal() ?? '{}') as PrivateCaMaterial;
    this.#read.set(material.authorityArn, material);
    return { user: idOf(material.certificate), password: material.authorityArn };
  }

  override async works({ password }: Login): Promise<boolean> {
    const material = this.#read.get(password);
    if (material === undefined) throw new Error('nobody has read this value');
    return leafWithKey(fake, material).then(
      async ({ cert }) => opensslTakes(served.url, this.set, cert),
      () => false,
    );
  }

  get entries() {
    return served.directory.sets.get(`bundles/${this.set}`)?.entries ?? [];
  }

  override async openSlots(): Promise<string[]> {
    return Promise.resolve(this.entries.filter(isHeld).map(({ id }) => id));
  }

  /** What the bundle has of the authorities, in their order. */
  states(arns: readonly string[]): (string | undefined)[] {
    return arns.map((arn) => this.entries.find(({ ref }) => ref === arn)?.state);
  }

  /** So long that every verifier must have read what is published now. */
  pass(): void {
    this.time.jumpTo(this.time.now() + 3000);
  }
}

const made = async (many: number): Promise<string[]> =>
  Promise.all(Array.from({ length: many }, async () => (await fake.add()).arn));

describe('a list of authorities of AWS Private CA', () => {
  test('grows with the declaration while they take turns; nothing else of the target changes', async () => {
    const arns = await made(3);
    const one = new PrivateCaCase(arns);
    await one.register();
    const first = await one.login();
    one.pass();
    await one.rotate();
    await one.settle();
    expect(one.states(arns)).toEqual(['ended', 'live', 'next']);
    expect([await one.works(first), await one.works(await one.login())]).toEqual([false, true]);

    const longer = [...arns, ...(await made(1))];
    const answer = await one.tryRegister(one.declared({ authorities: longer }));
    expect(answer).toMatchObject({ outcome: 'updated', notices: [] });
    expect(answer.changes).toEqual([{ field: 'target.authorities.3', from: null, to: longer[3] }]);
    expect((await one.credential()).target).toMatchObject({ authorities: longer, leafSeconds: 10 });
    one.pass();
    await one.rotate();
    await one.settle();
    expect(one.states(longer)).toEqual(['ended', 'ended', 'live', 'next']);
    expect(await one.faults()).toEqual([]);

    for (const other of [{ trustDomain: 'other.example' }, { leafSeconds: 20 }]) {
      const changed = one.declared({ authorities: longer, ...other });
      await expect(one.tryRegister(changed)).rejects.toMatchObject({
        code: 'ERR_DECLARATION',
        message: expect.stringContaining("can't be changed"),
      });
    }
  });

  test('that has become too short is told when it is declared', async () => {
    const arns = await made(2);
    const one = new PrivateCaCase(arns);
    expect(await one.tryRegister()).toMatchObject({ outcome: 'registered' });
    const [gone] = await made(1);
    fake.authorities.get(gone ?? '')!.status = 'DELETED';
    expect(await one.tryRegister(one.declared({ authorities: [...arns, gone] }), true)).toMatchObject({
      outcome: 'updated',
      notices: [{ message: expect.stringContaining(`${gone}: its status is DELETED`) }],
    });
  });

  test('that stands in two declarations too gives each authority to one of them', async () => {
    const arns = await made(3);
    const one = new PrivateCaCase(arns);
    await one.register();
    const set = `${one.set}-of-others`;
    const other = { ...one.declared({ name: set, authorities: arns }), name: set, secret: `agents/${set}` };
    await expect(one.tryRegister(other)).rejects.toMatchObject({
      code: 'ERR_CAPACITY',
      message: expect.stringContaining(`${arns[0]}: another credential has it`),
    });
    expect(served.directory.sets.get(`bundles/${set}`)).toBeUndefined();
    // What was refused has left nothing that stands in anybody's way, not even the one that it could have had.
    one.pass();
    await one.rotate();
    await one.settle();
    expect(one.states(arns)).toEqual(['ended', 'live', 'next']);
  });

  test('gives an emergency the next one, and leaves nothing of what was there', async () => {
    const arns = await made(2);
    const one = new PrivateCaCase(arns);
    await one.register();
    const before = await one.login();
    await one.finished(await one.startEmergency());
    await one.settle();
    expect(one.states(arns)).toEqual(['ended', 'live']);
    expect([await one.works(before), await one.works(await one.login())]).toEqual([false, true]);
    expect(fake.authorities.get(arns[0] ?? '')?.status).toBe('DISABLED');
  });
});
