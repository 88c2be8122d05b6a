import { describeIdentityLife } from '../contract/describe-identity-life.ts';

describeIdentityLife('signing keys in KMS', { kind: 'jwks', held: 'kms' });
