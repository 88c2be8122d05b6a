import { certificateRevoked, type CertificateRevoked } from '../../shared/api/messages.ts';
import { LONG_TIMEOUT_MS } from '../client.ts';
import type { Context } from '../context.ts';
import type { RevokeOptions } from '../emergency.ts';
import { EXIT, Failure, usage } from '../failure.ts';
import type { Output } from '../io.ts';

/** The authority that is meant. @throws Failure where the options don't go with a single certificate */
export function authorityAmong(
  names: readonly string[],
  { replace }: Pick<RevokeOptions, 'replace'>,
): string {
  const [name, ...others] = names;
  if (name === undefined || others.length > 0)
    throw usage('--certificate is of one certificate authority: name it, and no other');
  if (!replace)
    throw usage('--no-replace has no meaning here: a certificate that is revoked is not replaced');
  return name;
}

/** `rekey revoke NAME --certificate SERIAL`: one certificate of an agent, and nothing else that the authority has signed. */
export async function revokeCertificate(
  context: Context,
  name: string,
  serial: string,
  { incident, reason, yes, dryRun }: RevokeOptions,
): Promise<number> {
  const { out } = context;
  const client = await context.client();
  const ask = (isDry: boolean): Promise<CertificateRevoked> =>
    client.post(certificateRevoked, ['credentials', name, 'certificates', serial, 'revoke'], {
      body: { incident, reason, dryRun: isDry },
      timeoutMs: LONG_TIMEOUT_MS,
    });
  if (dryRun || !yes) {
    const seen = await out.waiting('looking it up', ask(true));
    describe(out, seen);
    if (dryRun) {
      out.data(seen);
      out.line('Nothing was changed.');
      return EXIT.ok;
    }
    await confirm(out, seen);
  }
  const done = await out.waiting('revoking it', ask(false));
  out.data(done);
  const word = done.changed ? out.style('red', 'revoked') : 'revoked already';
  out.line(`${word}: certificate ${done.serial} of ${done.id}`);
  if (done.tellsBy !== undefined) out.line(toldByAws(done.tellsBy));
  if (!done.listed)
    out.line('The list that says so could not be signed yet; it is tried again every five minutes.');
  return EXIT.ok;
}

/** What AWS documents; it tells nobody when it has done so. */
function toldByAws(tellsBy: NonNullable<CertificateRevoked['tellsBy']>): string {
  const times = { crl: 'its list within half an hour or so', ocsp: 'OCSP within an hour' };
  return `AWS Private CA tells it: ${tellsBy.map((each) => times[each]).join(', ') || 'nobody any more'}.`;
}

function describe(out: Output, { serial, id, agent, notAfter, revokedAt }: CertificateRevoked): void {
  out.line(`Certificate ${serial} of ${id} (agent ${agent}), which ends at ${notAfter}.`);
  if (revokedAt !== undefined) out.line(`It was revoked at ${revokedAt}.`);
  out.line(
    'Verifiers that ask for revocations refuse it; those that read the bundle alone go on to its end.',
  );
  out.line(
    'The agent gets another one, when it renews: to let it go, take it out of the holders as well (rekey apply).',
  );
}

async function confirm(out: Output, { serial }: CertificateRevoked): Promise<void> {
  if (!out.io.stdinIsTty || out.json)
    throw usage('revoking a certificate needs confirmation, and nobody can be asked here', 'add --yes');
  const answer = await out.io.ask(`Revoke ${serial} now? Type yes: `);
  if (answer.trim().toLowerCase() === 'yes') return;
  throw new Failure('ERR_CANCELLED', 'cancelled; nothing was revoked');
}
