import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { SecretsInventory, type InventoryPage } from '../../shared/adapters/secrets-inventory.ts';
import { SecretsManagerVault } from '../../shared/adapters/secrets-manager-vault.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { ENV } from '../../shared/names.ts';
import { createLogger, errorFields, listSetting } from '../compose.ts';

const logger = createLogger();
const aws = awsCallsFromEnvironment(process.env);
const inventory = new SecretsInventory({
  aws,
  vault: new SecretsManagerVault(aws),
  readable: listSetting(ENV.adoptPrefixes),
});

/** A page of the account's secrets with their shapes; never a value. */
export async function handler(event: {
  prefix?: string;
  page?: string;
}): Promise<InventoryPage | { error: object }> {
  try {
    const page = await inventory.page(event);
    logger.info('inventory taken', { secrets: page.secrets.length, more: page.next !== undefined });
    return page;
  } catch (error) {
    logger.error('inventory failed', errorFields(error));
    if (error instanceof RekeyError) return { error: error.toJSON() };
    throw error;
  }
}
