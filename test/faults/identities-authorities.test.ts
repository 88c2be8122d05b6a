import { describeIdentityLife } from '../contract/describe-identity-life.ts';

describeIdentityLife('certificate authorities', { kind: 'bundles' });
