import * as logger from '@aws-lambda-powertools/logger';
import * as dynamoDb from '@aws-sdk/client-dynamodb';
import * as eventBridge from '@aws-sdk/client-eventbridge';
import * as secretsManager from '@aws-sdk/client-secrets-manager';
import * as jose from 'jose';
import * as pg from 'pg';
import * as x509 from '../../shared/providers/http/x509-library.ts';
import * as postgresql from '../../shared/providers/postgresql/provider.ts';

/** What a deployment with one bundle for everything would carry besides the handlers (reference: performance). */
export const libraries = { logger, dynamoDb, eventBridge, secretsManager, x509, jose, pg, postgresql };
