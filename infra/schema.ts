import { settingsJsonSchema } from './settings-schema.ts';

// Prints docs/settings.schema.json: `node infra/schema.ts > docs/settings.schema.json && npm run format`. A test compares.
process.stdout.write(`${JSON.stringify(settingsJsonSchema(), null, 2)}\n`);
