import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import { allowedHosts, covers } from '../../domain/hosts.ts';
import type { Redacted } from '../../domain/redacted.ts';
import { parseJson } from './material.ts';
import type { PostgresTarget } from './target.ts';

/** The administrative secret has the shape of the material; its host, if any, is never connected to. */
const loginSchema = z.object({ username: z.string().min(1), password: z.string().min(1) });

export type AdminLogin = Readonly<z.infer<typeof loginSchema>>;

/** Where the login may be used. Whoever writes the secret says so, never whoever declares a target. */
const placeSchema = z.object({
  host: z.string().min(1).optional(),
  port: z
    .union([z.int(), z.string().regex(/^\d{1,5}$/)])
    .transform(Number)
    .optional(),
  allowedHosts: allowedHosts.optional(),
});

const WHAT = 'the administrative secret';

/** @throws RekeyError ERR_MATERIAL_MISMATCH with field `admin` */
export function parseAdmin(text: Redacted<string>): Redacted<AdminLogin> {
  return text.map((json) => parseJson(loginSchema, json, WHAT, 'admin'));
}

/**
 * Refuses a target that the administrative secret isn't for: otherwise whoever may declare one could have the login
 * sent to a host of his own. Where the secret has `allowedHosts`, the target's host must be among them; else host and
 * port must be those that it names, as the secrets of RDS templates do. A secret that names none is for any host.
 * @throws RekeyError ERR_DECLARATION for target.host or target.port, ERR_MATERIAL_MISMATCH where the secret can't be read
 */
export function assertPlace(text: Redacted<string>, target: PostgresTarget): void {
  const { host, port, allowedHosts: allowed } = parseJson(placeSchema, text.reveal(), WHAT, 'admin');
  if (allowed !== undefined) {
    if (allowed.some((pattern) => covers(pattern, target.host))) return;
    throw elsewhere(
      'host',
      'declare one of the hosts that its `allowedHosts` names, or have this one added there',
    );
  }
  if (host !== undefined && !covers(host, target.host)) {
    throw elsewhere(
      'host',
      'declare the host that it names; where this one is the same server, list it in the `allowedHosts` of the secret',
    );
  }
  if (port !== undefined && port !== target.port) {
    throw elsewhere('port', 'declare the port that it names, or correct the secret');
  }
}

/** Neither the secret's host nor its port is told: the declarer may not read it. */
function elsewhere(part: 'host' | 'port', remedy: string): RekeyError {
  return new RekeyError(
    'ERR_DECLARATION',
    `${WHAT} is not for the ${part} of this target; nothing was sent there`,
    {
      field: `target.${part}`,
      remedy,
    },
  );
}
