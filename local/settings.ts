/** The account, region and dummy credentials of every local stack. Nothing here opens anything on AWS. */
export const localAccountId = '111122223333';
export const localRegion = 'eu-central-1';

/** MiniStack takes a twelve-digit access key as that account's root; the secret only matters with `iam: true`. */
export const localCredentials = { accessKeyId: localAccountId, secretAccessKey: 'local-stack-only' };
