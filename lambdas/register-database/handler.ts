import { parseEntry, type CredentialEntry } from '../../shared/domain/declaration.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { register, type RegisterAnswer } from '../../shared/engine/register.ts';
import { ENV } from '../../shared/names.ts';
import {
  composeEngine,
  createLogger,
  errorFields,
  home,
  listSetting,
  optionalSetting,
  setting,
} from '../compose.ts';
import { assertPrefix } from './prefix.ts';

interface Event {
  readonly declaration: CredentialEntry;
  readonly actor: string;
  readonly dryRun: boolean;
}

const logger = createLogger();
const engine = composeEngine();
const minWindow = optionalSetting(ENV.minWindow);
const secretsKey = optionalSetting(ENV.secretsKey);
const secretPrefix = setting(ENV.secretPrefix);
const adoptPrefixes = listSetting(ENV.adoptPrefixes);
const options = {
  home: home(),
  stage: setting(ENV.stage),
  limits: minWindow === undefined ? {} : { minWindowSeconds: Number(minWindow) },
  rotationFunction: () => setting(ENV.rotateDatabase),
  ...(secretsKey === undefined ? {} : { secretsKey }),
};

/** Registers or updates one database credential. Refusals are answers, so that their field and remedy arrive whole. */
export async function handler(event: Event): Promise<RegisterAnswer | { error: object }> {
  const { actor, dryRun } = event;
  try {
    const declaration = parseEntry(event.declaration);
    assertPrefix(declaration, secretPrefix, adoptPrefixes);
    const answer = await register(engine, options, { declaration, actor, dryRun });
    logger.info('declaration applied', { name: event.declaration.name, outcome: answer.outcome, dryRun });
    return answer;
  } catch (error) {
    logger.error('declaration refused', { name: event.declaration.name, dryRun, ...errorFields(error) });
    if (error instanceof RekeyError) return { error: error.toJSON() };
    throw error;
  }
}
