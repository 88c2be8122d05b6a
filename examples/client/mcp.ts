/** An agent on MCP tools: one transport for good, whatever happens to the access token. Rekey alone refreshes it. */
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { createCredentialSource } from '@rekey/client';
import { accessTokenExpiry, mcpOptions } from '@rekey/client/mcp';
import { secretsManagerVault } from '@rekey/client/secrets-manager';

await using source = await createCredentialSource({
  secretId: process.env['SECRET_ID'] ?? 'agents/families/crm',
  vault: secretsManagerVault(new SecretsManagerClient()),
  lifetimeSeconds: 15 * 60,
  expiresAt: accessTokenExpiry,
});
const client = new Client({ name: 'agent', version: '1.0.0' });
const url = new URL(process.env['MCP_URL'] ?? 'https://tools.example/mcp');
await client.connect(new StreamableHTTPClientTransport(url, mcpOptions(source)));

const { tools } = await client.listTools();
console.log(tools.map(({ name }) => name).join(', '));
await client.close();
