/** What a function or a person may do: one named capability per need. A role is a list of them and nothing else. */
export * from './permissions/grant.ts';
export * from './permissions/agent-api.ts';
export * from './permissions/certificates.ts';
export * from './permissions/ledger.ts';
export * from './permissions/directory.ts';
export * from './permissions/families.ts';
export * from './permissions/secrets.ts';
export * from './permissions/holders.ts';
export * from './permissions/services.ts';
export * from './permissions/signals.ts';
export * from './permissions/subscriptions.ts';
export * from './permissions/people.ts';
export * from './permissions/cloud-keys.ts';
export * from './permissions/network.ts';
