import { createHmac, generateKeyPairSync, hkdfSync, sign, type KeyObject } from 'node:crypto';
import type { Credential } from '../credential.ts';

/** The public half of an instance's key (RFC 8037). */
export interface InstanceJwk {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
}

/** Keys whose session is over, by the agent. */
const idle: Map<string, InstanceKey[]> = new Map();

/**
 * The key of one session at a time of this process. Its private half is nowhere but here. A session that comes after another
 * takes its key: Rekey then remembers one place for both, so that many short ones leave nothing behind.
 */
export class InstanceKey {
  readonly jwk: InstanceJwk;
  readonly #private: KeyObject;
  #number = 0;

  /** One that no other session uses. */
  static take(of: string): InstanceKey {
    return idle.get(of)?.pop() ?? new InstanceKey();
  }

  /** For the next session: the one that has used it is over. */
  giveBack(of: string): void {
    const others = idle.get(of) ?? [];
    others.push(this);
    idle.set(of, others);
  }

  /** The number of the next opening or heartbeat under this key: it only grows, in whatever session. */
  next(): number {
    return ++this.#number;
  }

  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    this.#private = privateKey;
    this.jwk = { kty: 'OKP', crv: 'Ed25519', x: String(publicKey.export({ format: 'jwk' }).x) };
  }

  /** A compact JWS (RFC 7515). */
  sign(payload: object): string {
    const text = `${encoded({ alg: 'EdDSA' })}.${encoded(payload)}`;
    return `${text}.${sign(null, Buffer.from(text), this.#private).toString('base64url')}`;
  }
}

/** What an acknowledgement is about. */
export interface Proven {
  readonly challenge: string;
  readonly session: string;
  readonly rotation: string;
  readonly versionId: string;
  readonly fingerprint: string;
}

const PURPOSE = 'rekey acknowledgement v1';

/** The proof that this process has the value (docs/agents.md). */
export async function proofOf(credential: Credential, proven: Proven): Promise<{ proof: string }> {
  const key = new Uint8Array(hkdfSync('sha256', credential.reveal(), proven.rotation, PURPOSE, 32));
  return Promise.resolve({ proof: createHmac('sha256', key).update(linesOf(proven)).digest('base64url') });
}

/** What is signed with a credential whose private part is in no secret; never a token, which has no line breaks. */
export function signedText(proven: Proven): string {
  return `${PURPOSE}\n${linesOf(proven)}`;
}

function linesOf({ challenge, session, rotation, versionId, fingerprint }: Proven): string {
  return [challenge, session, rotation, versionId, fingerprint].join('\n');
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
