export { isAuthenticationFailure, type FailureTest } from './authentication.ts';
export { createCredentialSource, createCredentialSources, type CredentialSources } from './create.ts';
export type { CredentialSource } from './credential-source.ts';
export type { Credential } from './credential.ts';
export {
  CredentialError,
  isCredentialError,
  type CredentialErrorCode,
  type CredentialErrorDetails,
} from './errors.ts';
export type { Listener, ListenerMap, RefreshFailure, SourceEvents, Swap, Use } from './listeners.ts';
export type { SharedOptions, SourceOptions } from './options.ts';
export type { Time } from './time.ts';
export type { Stage, Vault, VaultVersion } from './vault.ts';
