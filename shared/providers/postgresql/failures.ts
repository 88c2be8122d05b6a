import { isRekeyError, RekeyError, type ErrorDetails } from '../../domain/errors.ts';
import type { PostgresTarget } from './target.ts';

/** Whose login met the failure: it decides whether a refusal is the agent's or the administrator's. */
export type Party = 'admin' | 'agent';

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
]);
/** Connection exceptions, insufficient resources, operator intervention: another try may find it well. */
const PASSING = /^(08|53|57)|^25006$/;
/** Something else changed the same rows, or made the same role, at the same time. */
const CONTENDED = new Set(['40001', '40P01', '42710', '23505']);
const TLS_CODE =
  /^(ERR_TLS|ERR_SSL|EPROTO$|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH|INVALID_CA)/;

/** Somebody else was in the way for a moment: the same transaction may well succeed when it is run again. */
export class Contended extends RekeyError {}

/** The server knows no such login: user and password don't fit, or there is no password any more. */
export class LoginUnknown extends RekeyError {}

/**
 * `error` as a RekeyError. Upstream text is never quoted and never kept as the cause: it may hold a statement or a
 * connection string. SQLSTATE and host suffice to find the matching line in the server's log.
 */
export function toRekeyError(error: unknown, party: Party, target: PostgresTarget): RekeyError {
  if (isRekeyError(error)) return error;
  const { code, message } = anatomy(error);
  const where = `PostgreSQL at ${target.host}:${target.port}`;
  const state = code === '' ? '' : ` (${code})`;
  if (isTlsFailure(code, message)) return tlsFailure(where, code, message);
  // Without a code, the driver itself gave up on the exchange: a server that can't prove that it knows the password.
  if (code === '28P01' || code === '28000' || message.startsWith('SASL'))
    return loginRefused(where, code, message, party, target);
  if (code === '42501') {
    return party === 'admin'
      ? refused('ERR_ADMIN_DENIED', `${where} denied the administrator a privilege${state}`, {
          remedy:
            'see the server log for the object; the administrator needs CREATEROLE and the roles that own it',
        })
      : refused(
          'ERR_REJECTED',
          `${where} lets the user in, but denies it the database "${target.database}"${state}`,
          {
            field: 'target.database',
            remedy: `GRANT CONNECT ON DATABASE ${quote(target.database)} TO ${quote(target.ownerRole)}`,
          },
        );
  }
  if (code === '3D000') {
    return refused('ERR_DECLARATION', `${where} has no database "${target.database}"`, {
      field: 'target.database',
      remedy: 'create it or correct the name',
    });
  }
  if (code === '55P03') {
    return new Contended('ERR_UNAVAILABLE', `${where}: somebody holds what is to be changed${state}`, {
      remedy: 'end the transaction that holds it, or wait until it has ended',
    });
  }
  if (UNREACHABLE.has(code) || PASSING.test(code)) {
    return refused('ERR_UNAVAILABLE', `${where} can't be used now${state}`, {
      remedy: unreachableRemedy(code),
    });
  }
  if (CONTENDED.has(code) || (code === 'XX000' && message.startsWith('tuple concurrently'))) {
    return new Contended(
      'ERR_CONFLICT',
      `${where}: somebody else changed the same roles at the same time${state}`,
      {
        remedy: 'try again',
      },
    );
  }
  // Timeouts and lost connections carry no code; a SQLSTATE that isn't known above is final.
  return code === ''
    ? refused('ERR_UNAVAILABLE', `${where} did not answer in time, or dropped the connection`, {
        remedy: `try again; where it never answers: ${NO_WAY}`,
      })
    : refused('ERR_REJECTED', `${where} refused a statement${state}`, {
        remedy: 'see the server log for the statement',
      });
}

/** Packets that go nowhere: nobody says so, they only stay unanswered. */
const NO_WAY =
  "let the database's security group admit that of the functions on its port, and check routes and the setting network, which names the VPC";

function unreachableRemedy(code: string): string {
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'correct target.host: its name does not resolve where the functions are; a private one does so only inside its VPC (setting network)';
    case 'ECONNREFUSED':
      return 'check that the server runs, and target.port: nothing listens there';
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return NO_WAY;
    default:
      return code.startsWith('53')
        ? 'raise max_connections, or free a connection'
        : 'check host, port and network path';
  }
}

/** An identifier as PostgreSQL reads it back. */
export function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

function loginRefused(
  where: string,
  code: string,
  message: string,
  party: Party,
  target: PostgresTarget,
): RekeyError {
  const state = code === '' ? '' : ` (${code})`;
  // pg_hba.conf has only hostssl lines for this client: the declaration asks for what the server doesn't allow.
  if (target.tls.mode === 'disable' && message.includes('no encryption')) {
    return refused('ERR_REJECTED', `${where} takes no plaintext connections${state}`, {
      field: 'target.tls',
      remedy: 'drop target.tls (verify-full is the default), and give tls.ca where the CA is your own',
    });
  }
  const Refusal = code === '28P01' ? LoginUnknown : RekeyError;
  return party === 'admin'
    ? new Refusal('ERR_ADMIN_DENIED', `${where} refused the login of the administrator${state}`, {
        field: 'admin',
        remedy: 'check user name, password and pg_hba.conf for the administrative secret',
      })
    : refused('ERR_REJECTED', `${where} refused the login of the credential${state}`, {
        remedy: 'the password is wrong or the user may no longer log in',
      });
}

function tlsFailure(where: string, code: string, message: string): RekeyError {
  const none = message.includes('does not support SSL');
  return refused('ERR_REJECTED', `${where} ${none ? 'offers no TLS' : `failed the TLS check (${code})`}`, {
    field: 'target.tls',
    remedy: none
      ? 'turn TLS on at the server; plaintext is used only where target.tls says {"mode":"disable","reason":…}'
      : 'give the CA of the server as target.tls.ca (for RDS its regional bundle), and as target.host a name that its certificate carries',
  });
}

function isTlsFailure(code: string, message: string): boolean {
  return TLS_CODE.test(code) || message.includes('does not support SSL');
}

function anatomy(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: '', message: '' };
  // Both addresses of a host tried in vain arrive as one error around two.
  const inner: unknown = error instanceof AggregateError ? (error.errors[0] ?? error) : error;
  const code = inner instanceof Error && 'code' in inner ? inner.code : undefined;
  return { code: typeof code === 'string' ? code : '', message: error.message };
}

function refused(
  code: 'ERR_UNAVAILABLE' | 'ERR_REJECTED' | 'ERR_ADMIN_DENIED' | 'ERR_DECLARATION' | 'ERR_CONFLICT',
  message: string,
  details: ErrorDetails,
): RekeyError {
  return new RekeyError(code, message, details);
}
