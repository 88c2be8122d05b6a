import { GENESIS } from '../domain/audit.ts';
import { toInstant } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { isRekeyError } from '../domain/errors.ts';
import { fingerprint } from '../domain/fingerprint.ts';
import { redeclared } from '../domain/knowledge.ts';
import type { Trigger } from '../domain/rotation.ts';
import type { Notice } from '../providers/provider.ts';
import {
  adopter,
  existingSecret,
  missingTags,
  noticesOf,
  noticesOfAge,
  readExisting,
  type Found,
} from './adopt-examine.ts';
import type { EngineDeps } from './deps.ts';
import type { Draft, RegisterOptions } from './register-draft.ts';
import { describeHandle } from './state.ts';

/** What Rekey could see of something that it only observes. */
export interface Observed {
  /** Its value, where the secret's tags let Rekey read it. */
  readonly found?: Found;
  readonly notices: readonly Notice[];
}

/**
 * Looks at what is to be observed: the secret, its value where it is tagged for Rekey, and what depends on the login
 * where an administrative login is declared. Only what makes the declaration wrong is refused; what a take-over would
 * meet is told.
 */
export async function look(
  deps: EngineDeps,
  options: RegisterOptions,
  draft: Draft,
  ownId: string | undefined,
): Promise<Observed> {
  const { provider, adoption, ctx } = await adopter(deps, draft);
  const secret = await existingSecret(deps, draft, ownId);
  const missing = missingTags(secret, draft, options);
  const notices: Notice[] = [
    ...(missing.length === 0
      ? []
      : [
          {
            field: 'secret',
            message: `its value stays unread: it is not tagged for this deployment (${missing.map(([key]) => key).join(', ')})`,
            remedy: 'its owner tags it before it leaves mode observe',
          },
        ]),
    ...(secret.rotationEnabled && secret.rotationFunction !== options.rotationFunction(draft.type)
      ? [
          {
            field: 'secret',
            message: `it is rotated by ${secret.rotationFunction ?? 'somebody else'} already`,
            remedy: 'cancel that rotation before it leaves mode observe',
          },
        ]
      : []),
  ];
  const mayAsk = adoption.asksUpstream !== true || draft.adminSecret !== undefined;
  if (!mayAsk && missing.length === 0) {
    notices.push({
      field: 'admin',
      message: "which key at the upstream its value is can't be told without an administrative login",
      remedy: 'declare admin; it is needed before it leaves mode observe',
    });
  }
  const found = mayAsk && missing.length === 0 ? await readExisting(deps, draft, secret) : undefined;
  notices.push(...noticesOfAge(deps, draft, found));
  if (draft.adminSecret !== undefined || provider.needsAdmin === false) {
    try {
      notices.push(...noticesOf(await adoption.dependencies(draft.target, ctx)));
    } catch (error) {
      if (!isRekeyError(error)) throw error;
      const { field = 'target', message, remedy = 'needed before it leaves mode observe' } = error;
      notices.push({ field, message: `what depends on the login can't be told: ${message}`, remedy });
    }
  }
  return { notices, ...(found === undefined ? {} : { found }) };
}

/** Writes it into the ledger, in mode observe whatever is declared: leaving that mode is the take-over. */
export async function observe(
  deps: EngineDeps,
  draft: Draft,
  trigger: Trigger,
  { found }: Observed,
): Promise<Credential> {
  const now = toInstant(deps.clock());
  const value = found === undefined ? undefined : await valueOf(deps, draft, found);
  const { policy, holders, secretName, target, adminSecret } = draft;
  return deps.ledger.create(
    {
      ...draft,
      id: deps.newId(),
      mode: 'observe',
      adoption: 'observed',
      status: 'active',
      ...value?.seen,
      knownBy: redeclared(draft.knownBy, undefined, value?.seen.current),
      live: [],
      generation: 0,
      version: 0,
      epoch: 0,
      seq: 0,
      chain: GENESIS,
      registeredAt: now,
      updatedAt: now,
    },
    {
      action: 'observed',
      time: now,
      trigger,
      ...value?.record,
      holders: holders.map((holder) => holder.name),
      evidence: { declared: { policy, mode: 'observe', holders, secretName, target, adminSecret } },
    },
  );
}

/** The value of what was registered unread, once its secret's tags let Rekey read it. */
export async function observeValue(
  deps: EngineDeps,
  before: Credential,
  draft: Draft,
  trigger: Trigger,
  found: Found,
): Promise<Credential> {
  const { seen, record } = await valueOf(deps, draft, found);
  const { policy, mode, holders, secretName, target, adminSecret } = before;
  return deps.ledger.commit({
    before,
    after: { ...before, ...seen, knownBy: redeclared(before.knownBy, before.knownBy, seen.current) },
    records: [
      {
        action: 'observed',
        time: toInstant(deps.clock()),
        trigger,
        ...record,
        holders: holders.map((holder) => holder.name),
        evidence: { declared: { policy, mode, holders, secretName, target, adminSecret } },
      },
    ],
  });
}

/** A value that was found, as the credential and its record tell of it. */
async function valueOf(deps: EngineDeps, draft: Draft, found: Found) {
  const { provider } = await adopter(deps, draft);
  const current = {
    // Rekey has handed nothing out: generations begin with the take-over.
    handle: { id: found.id, generation: 0 },
    versionId: found.versionId,
    fingerprint: fingerprint(provider.secretPart(found.material)),
    issuedAt: found.storedAt ?? toInstant(deps.clock()),
  };
  const byHand = provider.manualRevocation?.(draft.target, current.handle);
  return {
    seen: { current, ...(byHand === undefined ? {} : { byHand }) },
    record: { newFingerprint: current.fingerprint, newHandle: describeHandle(current.handle) },
  };
}
