import type { Fault } from '../../fakes/upstream.ts';

/** Quoted by every answer that goes wrong. */
export const CANARY = 'sk-leaked-canary-0123456789';

/** Something that an upstream does wrong with one request. */
export interface Wrong {
  readonly name: string;
  fault(quoted: unknown): Fault;
  /** Code of what a step throws; undefined where it may pass. */
  readonly codes: readonly (string | undefined)[];
  /** The same for a request with an agent's key. */
  readonly agentCodes?: readonly (string | undefined)[];
}

const reply =
  (status: number, headers: Record<string, string> = {}) =>
  (body: unknown): Fault => ({ kind: 'reply', status, body, headers });

/** An answer that asks to wait. */
export function waitFor(seconds: number): Fault {
  return { kind: 'reply', status: 429, body: {}, headers: { 'retry-after': String(seconds) } };
}

const AGAIN = ['ERR_UNAVAILABLE'];
const DENIED = { codes: ['ERR_ADMIN_DENIED'], agentCodes: ['ERR_REJECTED'] };

/** All of it. `elsewhere` is where redirects lead. */
export function wrongs(elsewhere: () => string): readonly Wrong[] {
  const broken = (['reset', 'lost', 'hang', 'huge', 'not-http'] as const).map((kind) => ({
    name: `a broken exchange (${kind})`,
    fault: () => ({ kind }),
    codes: AGAIN,
  }));
  const redirects = [301, 302, 303, 307, 308].map((status) => ({
    name: `a redirect (${status})`,
    fault: (quoted: unknown) => reply(status, { location: `${elsewhere()}/v1?key=${CANARY}` })(quoted),
    codes: ['ERR_REJECTED'],
  }));
  return [
    { name: 'a refused login (401)', fault: reply(401), ...DENIED },
    { name: 'a missing right (403)', fault: reply(403), ...DENIED },
    { name: 'a request that is refused (400)', fault: reply(400), codes: ['ERR_REJECTED'] },
    { name: 'a long wait (429)', fault: reply(429, { 'retry-after': '3600' }), codes: AGAIN },
    { name: 'a wait of no known length (429)', fault: reply(429, { 'retry-after': CANARY }), codes: AGAIN },
    { name: 'an error of the upstream (500)', fault: reply(500), codes: AGAIN },
    { name: 'an upstream that is down (503)', fault: reply(503, { 'retry-after': '120' }), codes: AGAIN },
    ...broken,
    // What says nothing that counts may be broken.
    { name: 'a broken body', fault: () => ({ kind: 'malformed' }), codes: [...AGAIN, undefined] },
    { name: 'a body of another form', fault: reply(200), codes: [...AGAIN, undefined] },
    ...redirects,
  ];
}
