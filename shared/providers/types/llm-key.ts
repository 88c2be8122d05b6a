import type { Loaders } from './loaders.ts';

/** Keys of LLM providers (C1). */
export const PROVIDERS: Loaders = {
  'llm-key/openai': async () => (await import('../openai/provider.ts')).openaiProvider,
  'llm-key/mistral': async () => (await import('../mistral/provider.ts')).mistralProvider,
  'llm-key/google': async () => (await import('../google/provider.ts')).googleProvider,
  'llm-key/anthropic': async () => (await import('../anthropic/provider.ts')).anthropicProvider,
  'llm-key/cohere': async () => (await import('../cohere/provider.ts')).cohereProvider,
  'llm-key/bedrock': async () => (await import('../bedrock/provider.ts')).bedrockProvider,
  'llm-key/azure-openai': async () => (await import('../azure-openai/provider.ts')).azureOpenaiProvider,
};
