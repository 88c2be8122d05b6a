import { createHmac } from 'node:crypto';
import { fromInstant, type Instant } from '../../domain/clock.ts';

/** A JWT with these claims, signed with a key that its server has too (HS256), until `endsAt`. */
export function jwt(claims: object, key: string, endsAt: Instant): string {
  const exp = Math.floor(fromInstant(endsAt) / 1000);
  const content = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded({ exp, ...claims })}`;
  return `${content}.${createHmac('sha256', key).update(content).digest('base64url')}`;
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
