import type { SignalSource } from './signal.ts';

/** Names of credentials by what a source calls them. */
export type Names = Readonly<Record<string, string>>;

/** What each source that is deployed is known by, and what it maps to. Secrets stand in it by their ARN only. */
export interface SignalSettings extends Partial<Record<SignalSource, object>> {
  readonly github?: { readonly secretArn: string; readonly tokenSecretArn: string; readonly apiUrl: string };
  readonly 'github-partner'?: { readonly keysUrl: string };
  readonly gitguardian?: { readonly secretArn: string };
  readonly siem?: { readonly secretArn: string };
  readonly risc?: {
    readonly issuer: string;
    readonly audience: string;
    readonly jwksUrl: string;
    readonly credentials: Names;
  };
  readonly gcp?: {
    readonly audience: string;
    /** E-mail address of the service account that Pub/Sub signs its pushes as. */
    readonly serviceAccount: string;
    readonly credentials: Names;
  };
  readonly azure?: {
    /** The word in the address. */
    readonly secretArn?: string;
    /** Whose tokens Event Grid brings, and for which application. */
    readonly entra?: { readonly tenant: string; readonly audience: string };
    readonly credentials: Names;
  };
}
