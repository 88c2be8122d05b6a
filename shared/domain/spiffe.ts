import * as z from 'zod';
import { RekeyError } from './errors.ts';
import { agentName } from './pact.ts';

/** A trust domain as SPIFFE has it (SPIFFE-ID, section 2.1): what a trust bundle vouches for. */
export const trustDomain = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9._-]{0,253}[a-z0-9])?$/,
    'use small letters, digits, dots, hyphens and underscores',
  );

/** Name of an instance below its agent: one segment of a SPIFFE id. */
export const instanceName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'use letters, digits, dots, hyphens and underscores');

/** What a trust domain is called as a whole. Its CAs carry it; it names nobody. */
export function trustDomainId(domain: string): string {
  return `spiffe://${domain}`;
}

/**
 * The identity of an agent, or of one of its instances. It follows from who calls; nothing that is in a request for a certificate
 * has a part in it.
 * @throws RekeyError ERR_REQUEST
 */
export function agentId(domain: string, agent: string, instance?: string): string {
  const path = [segment('agent', agentName, agent)];
  if (instance !== undefined) path.push(segment('instance', instanceName, instance));
  return `${trustDomainId(domain)}/agent/${path.join('/')}`;
}

/** Names of agents are segments already; this one is held against the form before it goes into a certificate. */
function segment(field: string, form: z.ZodType<string>, value: string): string {
  const parsed = form.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new RekeyError('ERR_REQUEST', `${field}: "${value.slice(0, 128)}" can't be part of a SPIFFE id`, {
    field,
    remedy: 'use letters, digits, dots, hyphens and underscores, a letter or digit first, at most 128',
  });
}
