import { describe, expect, it } from 'vitest';
import { RememberingSealer } from '../../../shared/adapters/remembering-sealer.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { SealContext } from '../../../shared/ports/sealer.ts';
import { MemorySealer } from '../../support/agent-parts.ts';

const secret = new Redacted(new Uint8Array(Buffer.from('thirty-two random bytes of a key')));
const of = (id: string, purpose: SealContext['purpose'] = 'instance'): SealContext => ({
  purpose,
  of: 'checkout',
  id,
});

describe('a sealer that remembers', () => {
  it('opens the key of an instance once for any number of its heartbeats', async () => {
    const sealer = new MemorySealer();
    const remembering = new RememberingSealer(sealer);
    const sealed = await remembering.seal(secret, of('s-1'));
    for (let beat = 0; beat < 3; beat++)
      expect((await remembering.unseal(sealed, of('s-1'))).reveal()).toEqual(secret.reveal());
    expect(sealer.unsealed).toBe(1);
  });

  it('gives what it remembers for nothing but what it was sealed for, and remembers no refusal', async () => {
    const sealer = new MemorySealer();
    const remembering = new RememberingSealer(sealer);
    const sealed = await remembering.seal(secret, of('s-1'));
    await remembering.unseal(sealed, of('s-1'));
    for (const other of [of('s-2'), { ...of('s-1'), of: 'search' }, of('s-1', 'acknowledgement')])
      for (let again = 0; again < 2; again++)
        await expect(remembering.unseal(sealed, other)).rejects.toMatchObject({ code: 'ERR_PROOF' });
    expect(sealer.unsealed).toBe(7);
  });

  it('opens what acknowledgements are held against anew each time', async () => {
    const sealer = new MemorySealer();
    const remembering = new RememberingSealer(sealer);
    const sealed = await remembering.seal(secret, of('r-1', 'acknowledgement'));
    for (let again = 0; again < 2; again++) await remembering.unseal(sealed, of('r-1', 'acknowledgement'));
    expect(sealer.unsealed).toBe(2);
  });

  it('forgets the key that was not needed for the longest time', async () => {
    const sealer = new MemorySealer();
    const remembering = new RememberingSealer(sealer, 2);
    const sealed = new Map<string, string>();
    for (const id of ['a', 'b', 'c']) sealed.set(id, await remembering.seal(secret, of(id)));
    const open = async (id: string): Promise<number> => {
      await remembering.unseal(sealed.get(id) ?? '', of(id));
      return sealer.unsealed;
    };
    expect([await open('a'), await open('b'), await open('a'), await open('c')]).toEqual([1, 2, 2, 3]);
    expect([await open('a'), await open('b')]).toEqual([3, 4]);
  });
});
