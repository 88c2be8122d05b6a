export declare const root: string;
export declare class SetupError extends Error {}
export declare function setUp(): Promise<void>;
export declare function nodePath(): string;
export declare function venvPython(): string;
