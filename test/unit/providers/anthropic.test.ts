import { describe, expect, it } from 'vitest';
import type { CredentialHandle } from '../../../shared/domain/credential.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { anthropicProvider as provider } from '../../../shared/providers/anthropic/provider.ts';
import { nameOf } from '../../../shared/providers/http/mark.ts';
import type { IssueContext, ProviderContext } from '../../../shared/providers/provider.ts';
import { anthropicCase } from '../../contract/cases/anthropic.ts';
import { describeMetering } from '../../contract/describe-metering.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { FakeAnthropic } from '../../fakes/anthropic.ts';
import type { Asked, FakeKey } from '../../fakes/upstream.ts';
import { MemoryClaims } from '../../support/claims.ts';

describe('Anthropic', () => {
  describeProvider('Anthropic', keyHarness(anthropicCase()));
  describeMetering('Anthropic', anthropicCase());
});

let tokens = 0;
const newToken = (): string => `00000000-0000-4000-8000-${String(++tokens).padStart(12, '0')}`;
const markOf = (label: string): string => nameOf({ label, generation: 1, token: newToken() });
const isRename = ({ method, body }: Asked): boolean => method === 'POST' && 'name' in (body as object);

/** A workspace with a pool, and what a credential of it does. */
class Pool implements AsyncDisposable {
  readonly fake: FakeAnthropic;
  readonly claims = new MemoryClaims();
  readonly workspace = 'wrkspc_1';
  readonly ctx: ProviderContext;

  private constructor(fake: FakeAnthropic) {
    this.fake = fake;
    this.ctx = {
      clock: Date.now,
      claims: this.claims.of('orders'),
      reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
      admin: async () =>
        Promise.resolve(new Redacted(JSON.stringify({ ...fake.admin(), baseUrl: fake.server.url }))),
    };
  }

  static async of(count: number): Promise<Pool> {
    const pool = new Pool(await FakeAnthropic.start());
    pool.fake.fill(pool.workspace, count);
    return pool;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fake[Symbol.asyncDispose]();
  }

  /** The key of the pool at a place. */
  at(place: number): FakeKey {
    const key = this.fake.keys.all.get(this.fake.pool[place]?.id ?? '');
    if (key === undefined) throw new Error(`the pool has no key at ${place}`);
    return key;
  }

  target(label = 'orders') {
    const baseUrl = `${this.fake.server.url}/v1`;
    return provider.target({ label, workspace: this.workspace, baseUrl });
  }

  async issue(token = newToken(), label = 'orders') {
    const ctx: IssueContext = { ...this.ctx, claims: this.claims.of(label), generation: 1 };
    return provider.issue(this.target(label), token, ctx);
  }

  outlook() {
    return provider.outlook?.(this.target(), this.ctx);
  }

  /** Names of all keys as an upstream shows them. */
  names(): string[] {
    return [...this.fake.keys.all.values()].map(({ name }) => name);
  }
}

describe('the pool of Anthropic', () => {
  it('is taken from in its order, and its other keys keep their names', async () => {
    await using pool = await Pool.of(4);
    const [first, second] = [await pool.issue(), await pool.issue()];
    expect([first.handle.id, second.handle.id]).toEqual([pool.at(0).id, pool.at(1).id]);
    expect(first.material.reveal().apiKey).toBe(pool.at(0).value);
    expect(pool.names().slice(2)).toEqual(['spare 3', 'spare 4']);
  });

  it('never gives the key that agents use now, although somebody has renamed it', async () => {
    await using pool = await Pool.of(2);
    const { handle: current } = await pool.issue();
    pool.at(0).name = 'my favourite';
    const ctx = { ...pool.ctx, generation: 2, current };
    expect((await provider.issue(pool.target(), newToken(), ctx)).handle.id).toBe(pool.at(1).id);
    expect(pool.at(0).name).toBe('my favourite');
  });

  it('has no use for a key that is suspended, archived, expired, taken, of another workspace, or unknown', async () => {
    await using pool = await Pool.of(5);
    const { fake } = pool;
    pool.at(0).active = false;
    fake.end(pool.at(1), 'archived');
    fake.end(pool.at(2), 'expired');
    pool.at(3).name = markOf('another');
    const [elsewhere] = fake.fill('wrkspc_2', 1);
    fake.pool.unshift({ id: 'apikey_nobody_has', value: 'sk-ant-api03-nobody' });
    fake.pool.unshift(...fake.pool.splice(-1));
    expect((await pool.issue()).handle.id).toBe(pool.at(6).id);
    expect(elsewhere?.name).toBe('spare 1');
  });

  it('takes from the default workspace, which has no id, only what is there', async () => {
    await using pool = await Pool.of(1);
    const [spare] = pool.fake.fill('default', 1);
    const target = { ...pool.target(), workspace: 'default' };
    const issued = await provider.issue(target, newToken(), { ...pool.ctx, generation: 1 });
    expect(issued.handle.id).toBe(spare?.id);
  });

  it('is read page by page', async () => {
    await using pool = await Pool.of(2);
    for (let count = 0; count < 1000; count++) pool.fake.mint(pool.workspace);
    const [last] = pool.fake.fill(pool.workspace, 1);
    pool.fake.pool.splice(0, 2);
    expect((await pool.issue()).handle.id).toBe(last?.id);
  });

  it('says how to fill it where it is empty, and has renamed nothing', async () => {
    await using pool = await Pool.of(1);
    pool.fake.end(pool.at(0), 'archived');
    const before = pool.names();
    await expect(pool.issue()).rejects.toMatchObject({
      code: 'ERR_CAPACITY',
      field: 'admin',
      remedy: expect.stringContaining('"pool"'),
    });
    expect(pool.names()).toEqual(before);
  });

  it.each(['lost', 'reset'] as const)('loses no key where the answer of the renaming is %s', async (kind) => {
    await using pool = await Pool.of(3);
    const token = newToken();
    pool.fake.server.fail({ kind }, isRename);
    await expect(pool.issue(token)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    const again = await pool.issue(token);
    expect([again.handle.id, again.material.reveal().apiKey]).toEqual([pool.at(0).id, pool.at(0).value]);
    expect(pool.names().slice(1)).toEqual(['spare 2', 'spare 3']);
  });

  it('gives another key where an operator has meanwhile taken out the one whose answer was lost', async () => {
    await using pool = await Pool.of(3);
    const lost = pool.at(0);
    const token = newToken();
    pool.fake.server.fail({ kind: 'lost' }, isRename);
    await expect(pool.issue(token)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    pool.fake.pool.shift();
    expect((await pool.issue(token)).handle.id).toBe(pool.at(0).id);
    expect(pool.fake.status(lost)).toBe('archived');
  });

  it('never gives a value that is not the key’s, and tells which entries an operator has mixed up', async () => {
    await using pool = await Pool.of(5);
    const [one, two] = pool.fake.pool;
    if (one === undefined || two === undefined) throw new Error('the pool is too small');
    [one.value, two.value] = [two.value, one.value];
    expect((await pool.issue()).handle.id).toBe(pool.at(2).id);
    const notices = await pool.outlook();
    expect(notices).toHaveLength(2);
    for (const [at, { id, value }] of [one, two].entries()) {
      expect(notices?.[at]?.message).toContain(id);
      expect(JSON.stringify(notices)).not.toContain(value);
    }
  });

  it('is refused where an entry is there twice, or isn’t of the form, without a word of it', async () => {
    await using pool = await Pool.of(1);
    const { pool: entries } = pool.fake;
    const canary = 'sk-ant-api03-canary';
    const [first] = entries;
    for (const wrong of [
      { ...first, value: canary },
      { id: 'apikey_2', value: `${canary}\r\nx: y` },
    ]) {
      entries[1] = wrong as { id: string; value: string };
      const error: unknown = await pool.issue().catch((failure: unknown) => failure);
      expect(error).toMatchObject({ code: 'ERR_MATERIAL_MISMATCH', field: 'admin' });
      expect(JSON.stringify(error)).not.toContain(canary);
    }
  });

  it('runs low while there is one free for the next rotation, but none for an emergency', async () => {
    await using pool = await Pool.of(3);
    await pool.issue();
    expect(await pool.outlook()).toEqual([]);
    await pool.issue();
    const low = [
      expect.objectContaining({ field: 'admin', message: expect.stringContaining('1 free, and 2') }),
    ];
    expect(await pool.outlook()).toEqual(low);
    expect(await provider.preflight(pool.target(), pool.ctx)).toEqual(low);
  });

  it('runs low sooner where several credentials take from it', async () => {
    await using pool = await Pool.of(4);
    await pool.issue(newToken(), 'search');
    await pool.issue();
    const [notice] = (await pool.outlook()) ?? [];
    expect(notice?.message).toContain('2 free, and 3 needed');
  });
});

describe('two rotations that take from one pool of Anthropic at once', () => {
  it('have different keys, whoever is faster, and nothing of the other is renamed', async () => {
    await using pool = await Pool.of(3);
    const at = '2026-01-01T00:00:00.000Z';
    const theirs = { credentialId: 'search', token: newToken(), generation: 1, at };
    let times = 0;
    pool.claims.faster = (fingerprint) => (++times === 1 ? { ...theirs, fingerprint } : undefined);
    expect((await pool.issue()).handle.id).toBe(pool.at(1).id);
    expect(pool.at(0).name).toBe('spare 1');
  });

  it('have different keys however many there are', async () => {
    await using pool = await Pool.of(30);
    const labels = Array.from({ length: 8 }, (_, index) => `agent-${index}`);
    const issued = await Promise.all(labels.map(async (label) => pool.issue(newToken(), label)));
    expect(new Set(issued.map(({ handle }) => handle.id)).size).toBe(labels.length);
    for (const [at, { handle }] of issued.entries())
      expect(pool.fake.keys.all.get(handle.id)?.name).toContain(`rekey.${labels[at]}.`);
  });

  it('are the same rotation where they have the same token, and have the same key', async () => {
    await using pool = await Pool.of(3);
    const token = newToken();
    const [one, two] = await Promise.all([pool.issue(token), pool.issue(token)]);
    expect(one.handle).toEqual(two.handle);
    expect(pool.names().slice(1)).toEqual(['spare 2', 'spare 3']);
  });

  it('take no key that another one has, although a person has renamed it', async () => {
    await using pool = await Pool.of(3);
    await pool.issue(newToken(), 'search');
    pool.at(0).name = 'my favourite';
    expect((await pool.issue()).handle.id).toBe(pool.at(1).id);
    expect(pool.at(0).name).toBe('my favourite');
    const [notice] = (await pool.outlook()) ?? [];
    expect(notice?.message).toContain('1 free, and 2');
  });

  it('leave a key free that could not be renamed, and keep one of which nobody knows', async () => {
    await using pool = await Pool.of(3);
    pool.fake.server.fail({ kind: 'reply', status: 403 }, isRename);
    await expect(pool.issue()).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED' });
    expect((await pool.issue(newToken(), 'search')).handle.id).toBe(pool.at(0).id);
    pool.fake.server.fail({ kind: 'reset' }, isRename);
    await expect(pool.issue()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    expect((await pool.issue(newToken(), 'images')).handle.id).toBe(pool.at(2).id);
  });
});

describe('a key of Anthropic', () => {
  it('in the default workspace lives, whatever is in that of another account', async () => {
    await using pool = await Pool.of(0);
    const [theirs] = pool.fake.fill('default', 2);
    const target = { ...pool.target(), workspace: 'default' };
    const { handle } = await provider.issue(target, newToken(), { ...pool.ctx, generation: 1 });
    const unseen = { ...handle, seenBy: 'sha256:another login' };
    const ctx = { ...pool.ctx, live: [unseen] };
    const show = pool.fake.keys.hide();
    pool.fake.mint('default');
    const revoked = provider.revoke(target, unseen, { endSessions: true }, ctx);
    await expect(revoked).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED', field: 'admin' });
    show();
    expect(theirs?.active).toBe(true);
    // Under a login that knows another key of the ledger it is gone.
    const known = { ...pool.ctx, live: [unseen, { id: pool.fake.mint('default').id, generation: 2 }] };
    pool.fake.keys.all.delete(handle.id);
    const done = await provider.revoke(target, unseen, { endSessions: true }, known);
    expect(done.confirmed).toBe(true);
  });

  const revoke = async (pool: Pool, handle: CredentialHandle) =>
    provider.revoke(pool.target(), handle, { endSessions: true }, pool.ctx);
  const isUpdateTo =
    (status: string) =>
    ({ body }: Asked): boolean =>
      (body as { status?: string } | undefined)?.status === status;

  it('is dead with the first step of its revocation, and archived by a repetition', async () => {
    await using pool = await Pool.of(2);
    const { handle } = await pool.issue();
    pool.fake.server.fail({ kind: 'reset' }, isUpdateTo('archived'));
    await expect(revoke(pool, handle)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    expect(pool.fake.status(pool.at(0))).toBe('inactive');
    expect(await revoke(pool, handle)).toMatchObject({ confirmed: true, method: 'status-read' });
    expect(pool.fake.status(pool.at(0))).toBe('archived');
  });

  it.each(['archived', 'expired'] as const)('that has %s by itself counts as gone', async (status) => {
    await using pool = await Pool.of(3);
    const { handle } = await pool.issue();
    pool.fake.end(pool.at(0), status);
    expect(await provider.list?.(pool.target(), pool.ctx)).toEqual([]);
    expect(await revoke(pool, handle)).toMatchObject({ confirmed: true });
    expect(
      await provider.suspension?.restore(pool.target(), handle, pool.ctx).catch((e: unknown) => e),
    ).toMatchObject({ code: 'ERR_POINT_OF_NO_RETURN' });
  });

  it('does not take the place of one of another workspace', async () => {
    await using pool = await Pool.of(2);
    const old = pool.fake.mint('wrkspc_2', markOf('orders'));
    const { handle } = await pool.issue();
    const compared = provider.comparePermissions?.(
      pool.target(),
      { id: old.id, generation: 0 },
      handle,
      pool.ctx,
    );
    await expect(compared).rejects.toMatchObject({
      code: 'ERR_REJECTED',
      message: expect.stringContaining('wrkspc_2'),
    });
  });
});
