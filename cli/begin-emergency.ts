import { randomUUID } from 'node:crypto';
import { emergencyStarted, type EmergencyStarted } from '../shared/api/messages.ts';
import type { Selection } from '../shared/domain/selection.ts';
import type { Context } from './context.ts';
import { conclude, followEmergency, staysHalted, type RevokeOptions } from './emergency.ts';
import { EXIT } from './failure.ts';
import type { Output } from './io.ts';

/** What an emergency is asked for: credentials by name or id, or a selection. */
export type What =
  { readonly credentials: readonly string[]; readonly shown?: true } | { readonly select: Selection };

/** Waits for the end of what has begun, where that is wanted. */
export type Follow = () => Promise<number>;

/** Starts an emergency, and says what of it is not revoked. */
export async function beginEmergency(context: Context, what: What, options: RevokeOptions): Promise<Follow> {
  const { out } = context;
  const { incident, reason, replace } = options;
  const client = await context.client();
  const work = client.post(emergencyStarted, ['emergencies'], {
    body: { ...what, incident, reason, replace },
    idempotencyKey: randomUUID(),
  });
  const started = await out.waiting('starting the emergency', work);
  const names = 'credentials' in what ? what.credentials : started.credentials;
  out.line(
    `${out.style('red', 'revoking')} ${names.length === 1 ? names[0] : `${names.length} credentials`}: emergency ${started.id}`,
  );
  sayUnresolved(out, started);
  if (started.beside !== undefined) sayBeside(out, started.beside, options);
  if (!replace) out.line(staysHalted(names, options));
  const incomplete = started.unresolved.length > 0 ? EXIT.failed : EXIT.ok;
  return async () => {
    if (!options.wait) {
      out.data(started);
      return incomplete;
    }
    const ended = await followEmergency(context, client, started.id, names);
    out.data(ended);
    return Math.max(conclude(out, ended), incomplete);
  };
}

function sayUnresolved(out: Output, { unresolved }: EmergencyStarted): void {
  if (unresolved.length === 0) return;
  const said = `NOT revoked, because they were not looked up in time: ${unresolved.join(', ')}`;
  out.line(out.style('red', said));
  out.line('Name these by their ids: ids work without the ledger.');
}

/** Says what belongs to a selection and is not revoked with it, with the command that does. */
export function sayBeside(
  out: Output,
  { later, families, familyDetails = [], unknown }: NonNullable<EmergencyStarted['beside']>,
  { incident }: Pick<RevokeOptions, 'incident'>,
): void {
  const command = (names: readonly string[]) =>
    `rekey revoke ${names.join(' ')} --incident ${incident} --reason …`;
  const not = out.style('red', 'NOT revoked');
  if (later.length > 0) {
    out.line(`${not}: administrative credentials, with which Rekey ends the others. Once these are dead:`);
    if (later.length > 1)
      out.line('(in this order, each once the one before is dead: a later one may administer it)');
    for (const name of later) out.line(`  ${command([name])}`);
  }
  if (families.length > 0) {
    out.line(`${not}: token families, which are revoked by name. Now, in this order:`);
    for (const { id, name, provider, opens, holders } of familyDetails) {
      const agents = holders.join(', ') || 'no holder is known';
      out.line(`  ${out.style('bold', name)}  token-family/${provider}  id ${id}  held by ${agents}`);
      out.line(`    opens ${opens.map((each) => `${each.name} ${each.value}`).join('; ')}`);
    }
    out.line(`  ${command(families)}`);
  }
  for (const each of unknown) out.line(`not known: ${each}`);
}
