import 'reflect-metadata';

/** The library that makes certificates, after the polyfill that it wants before itself, in whatever files a bundle is split. */
export * from '@peculiar/x509';
