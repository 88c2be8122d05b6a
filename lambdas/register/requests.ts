import { parseEntry, type CredentialEntry } from '../../shared/domain/declaration.ts';
import { alignBackstop, type Backstop } from '../../shared/engine/backstop.ts';
import {
  confirmRoot,
  type ConfirmRootAnswer,
  type RootConfirmation,
} from '../../shared/engine/confirm-root.ts';
import type { CredentialLook } from '../../shared/engine/diagnose.ts';
import { register, type RegisterAnswer } from '../../shared/engine/register.ts';
import { unregister, type UnregisterAnswer, type UnregisterRequest } from '../../shared/engine/unregister.ts';
import { ENV } from '../../shared/names.ts';
import { composeEngine, home, listSetting, optionalSetting, setting } from '../compose.ts';
import { diagnoseHere } from './diagnose.ts';
import { assertPrefix } from './prefix.ts';

/** What `control-api` asks for. Without an action it is a declaration, as in the version before. */
export type Request =
  | {
      readonly action?: undefined;
      readonly declaration: CredentialEntry;
      readonly actor: string;
      readonly dryRun: boolean;
    }
  | { readonly action: 'align-backstop'; readonly credentialId: string }
  | { readonly action: 'diagnose'; readonly credentialId: string }
  | ({ readonly action: 'confirm-root' } & RootConfirmation)
  | ({ readonly action: 'unregister' } & UnregisterRequest);

/** What it is answered. */
export type Answer =
  RegisterAnswer | UnregisterAnswer | ConfirmRootAnswer | CredentialLook | { readonly backstop: Backstop };

const engine = composeEngine();
const minWindow = optionalSetting(ENV.minWindow);
const secretsKey = optionalSetting(ENV.secretsKey);
const secretPrefix = setting(ENV.secretPrefix);
const adoptPrefixes = listSetting(ENV.adoptPrefixes);
const options = {
  home: home(),
  stage: setting(ENV.stage),
  limits: minWindow === undefined ? {} : { minWindowSeconds: Number(minWindow) },
  rotationFunction: () => setting(ENV.rotator),
  ...(secretsKey === undefined ? {} : { secretsKey }),
};

/** Does what is asked. */
export async function answer(request: Request): Promise<Answer> {
  if (request.action === 'align-backstop')
    return { backstop: await alignBackstop(engine, options, request.credentialId) };
  if (request.action === 'diagnose') return diagnoseHere(request.credentialId);
  if (request.action === 'confirm-root') return confirmRoot(engine, request);
  if (request.action === 'unregister') return unregister(engine, options, request);
  const { actor, dryRun } = request;
  const declaration = parseEntry(request.declaration);
  assertPrefix(declaration, secretPrefix, adoptPrefixes);
  return register(engine, options, { declaration, actor, dryRun });
}

/** The request in the log. */
export function describe(request: Request): object {
  if (request.action === 'align-backstop' || request.action === 'diagnose')
    return { action: request.action, credentialId: request.credentialId };
  if (request.action === 'confirm-root') {
    const { action, credentialId, letIn, dryRun } = request;
    return { action, credentialId, letIn, dryRun };
  }
  if (request.action === 'unregister')
    return {
      action: request.action,
      name: request.name,
      dryRun: request.dryRun,
      unconfirmed: request.unconfirmed ?? false,
    };
  return { action: 'register', name: request.declaration.name, dryRun: request.dryRun };
}

/** The answer in the log. */
export function summary(done: Answer): object {
  if ('outcome' in done) return { outcome: done.outcome };
  return 'checks' in done ? { checks: done.checks.length } : done;
}
