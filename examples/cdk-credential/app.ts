import { App } from 'aws-cdk-lib';
import { OrdersStack } from './stack.ts';

// cdk deploy Orders --app "node examples/cdk-credential/app.ts" --outputs-file outputs.json
// rekey apply --outputs outputs.json --dry-run
new OrdersStack(new App(), 'Orders');
