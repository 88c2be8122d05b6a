import {
  constants,
  createECDH,
  generateKeyPairSync,
  randomBytes,
  randomUUID,
  sign,
  type KeyObject,
} from 'node:crypto';
import { AwsServiceError, type AwsReach } from '../../shared/http/aws.ts';

/** A key pair as KMS has it. */
export interface FakeKmsKey {
  readonly arn: string;
  readonly spec: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  state: 'Enabled' | 'Disabled' | 'PendingDeletion';
}

/** Order of the group of P-256. */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
/** What KMS signs at most without a digest. */
const MOST_BYTES = 4096;

type Input = Readonly<Record<string, string>> & {
  readonly Tags?: readonly { readonly TagKey: string; readonly TagValue: string }[];
};

const PAIRS: Readonly<Record<string, () => { publicKey: KeyObject; privateKey: KeyObject }>> = {
  ECC_NIST_EDWARDS25519: () => generateKeyPairSync('ed25519'),
  ECC_NIST_P256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  RSA_2048: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
};

/** Which digest and padding an algorithm of KMS stands for, by the specification of the keys that it goes with. */
const SIGNERS: Readonly<Record<string, { spec: string; digest: string | null; padding?: number }>> = {
  ED25519_SHA_512: { spec: 'ECC_NIST_EDWARDS25519', digest: null },
  ECDSA_SHA_256: { spec: 'ECC_NIST_P256', digest: 'sha256' },
  RSASSA_PKCS1_V1_5_SHA_256: { spec: 'RSA_2048', digest: 'sha256', padding: constants.RSA_PKCS1_PADDING },
  RSASSA_PSS_SHA_256: { spec: 'RSA_2048', digest: 'sha256', padding: constants.RSA_PKCS1_PSS_PADDING },
};

/**
 * Asymmetric keys of KMS that sign, as its API reference has them: public keys as SPKI, signatures of curves in DER, keys that
 * are disabled or to be deleted sign nothing. Real signatures, by Node's own library.
 */
export class FakeKms implements AwsReach {
  readonly keys = new Map<string, FakeKmsKey>();
  /** Operations that the function's role lacks. */
  readonly denied = new Set<string>();

  async request(
    service: string,
    { headers = {}, body = '{}' }: Parameters<AwsReach['request']>[1],
  ): ReturnType<AwsReach['request']> {
    const operation = headers['x-amz-target']?.split('.')[1] ?? '';
    if (service !== 'kms') throw new Error(`${service} is not played here`);
    if (this.denied.has(operation)) throw refusal('AccessDeniedException');
    const answer = this.#answer(operation, JSON.parse(body) as Input);
    return Promise.resolve({ status: 200, headers: {}, text: JSON.stringify(answer) });
  }

  #answer(operation: string, input: Input): object {
    if (operation === 'CreateKey') return { KeyMetadata: { Arn: this.#create(input).arn } };
    const key = this.keys.get(input['KeyId'] ?? '');
    if (key === undefined) throw refusal('NotFoundException');
    switch (operation) {
      case 'GetPublicKey':
        return { PublicKey: key.publicKey.export({ format: 'der', type: 'spki' }).toString('base64') };
      case 'Sign':
        return { Signature: signed(key, input).toString('base64') };
      case 'DisableKey':
        if (key.state === 'PendingDeletion') throw refusal('KMSInvalidStateException');
        key.state = 'Disabled';
        return {};
      case 'ScheduleKeyDeletion':
        if (key.state === 'PendingDeletion') throw refusal('KMSInvalidStateException');
        key.state = 'PendingDeletion';
        return {};
      default:
        throw refusal('UnsupportedOperationException');
    }
  }

  #create({ KeySpec = '', KeyUsage, Tags = [] }: Input): FakeKmsKey {
    const pair = PAIRS[KeySpec];
    if (pair === undefined || KeyUsage !== 'SIGN_VERIFY') throw refusal('ValidationException');
    const arn = `arn:aws:kms:eu-central-1:111122223333:key/${randomUUID()}`;
    const tags = Object.fromEntries(Tags.map(({ TagKey, TagValue }) => [TagKey, TagValue]));
    const key: FakeKmsKey = { arn, spec: KeySpec, tags, ...pair(), state: 'Enabled' };
    this.keys.set(arn, key);
    return key;
  }
}

function signed({ spec, state, privateKey }: FakeKmsKey, input: Input): Buffer {
  if (state === 'Disabled') throw refusal('DisabledException');
  if (state === 'PendingDeletion') throw refusal('KMSInvalidStateException');
  const signer = SIGNERS[input['SigningAlgorithm'] ?? ''];
  if (signer?.spec !== spec) throw refusal('InvalidKeyUsageException');
  const { digest, padding } = signer;
  const message = Buffer.from(input['Message'] ?? '', 'base64');
  if (input['MessageType'] === 'DIGEST') {
    if (spec !== 'ECC_NIST_P256' || message.length !== 32) throw refusal('ValidationException');
    return signedDigest(privateKey, message);
  }
  if (message.length > MOST_BYTES) throw refusal('ValidationException');
  const salt = padding === constants.RSA_PKCS1_PSS_PADDING ? { saltLength: 32 } : {};
  return sign(digest, message, { key: privateKey, ...(padding === undefined ? {} : { padding }), ...salt });
}

/** ECDSA of a digest (SEC 1, section 4.1.3): Node signs messages only, which it digests itself. */
function signedDigest(privateKey: KeyObject, digest: Buffer): Buffer {
  const secret = number(Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url'));
  const once = number(randomBytes(32)) % ORDER;
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(Buffer.from(once.toString(16).padStart(64, '0'), 'hex'));
  const r = number(ecdh.getPublicKey().subarray(1, 33)) % ORDER;
  const s = (inverse(once) * ((number(digest) + r * secret) % ORDER)) % ORDER;
  const body = Buffer.concat([r, s].map(integer));
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}

function number(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}

/** By Fermat's theorem: the order is a prime. */
function inverse(value: bigint): bigint {
  let [result, base] = [1n, value];
  for (let exponent = ORDER - 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % ORDER;
    base = (base * base) % ORDER;
  }
  return result;
}

function integer(value: bigint): Buffer {
  const hex = value.toString(16);
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  const bytes = Buffer.from(parseInt(even.slice(0, 2), 16) > 127 ? `00${even}` : even, 'hex');
  return Buffer.concat([Buffer.from([0x02, bytes.length]), bytes]);
}

function refusal(name: string): AwsServiceError {
  return new AwsServiceError(name, name, 400);
}
