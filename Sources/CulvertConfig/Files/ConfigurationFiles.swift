public import CulvertPlan

/// Which files say what the command line does not.
public enum ConfigurationFiles: Hashable, Sendable {
    /// `~/.ssh/config` and then `/etc/ssh/ssh_config`, each if it exists.
    case usual
    /// `-F file`: this one in place of both. It must exist.
    case only(String)
    /// `-F none`.
    case none

    init(argument: String) { self = argument.lowercased() == "none" ? .none : .only(argument) }
}

/// What reading configuration files takes from the system, as functions: tests give their own.
public struct ConfigurationAccess: Sendable {
    /// Why a file gives no text.
    public enum Failure: Error, Hashable, Sendable {
        case missing
        /// The system's words.
        case unreadable(String)
        case directory
        /// It is too long to be a configuration file, bytes.
        case tooLong(limit: Int)
    }

    /// A file as it is read.
    public struct File: Hashable, Sendable {
        public var bytes: [UInt8]
        /// The owner's user number.
        public var owner: UInt32
        /// Permission bits.
        public var mode: UInt32
        /// It can be read again.
        public var isRegular: Bool

        public init(bytes: [UInt8], owner: UInt32, mode: UInt32, isRegular: Bool = true) {
            self.bytes = bytes
            self.owner = owner
            self.mode = mode
            self.isRegular = isRegular
        }
    }

    public var read: @Sendable (_ path: String) -> Result<File, Failure>
    /// Paths that match a pattern of glob(7), sorted; its `~` is expanded already. nil: a directory cannot be read.
    public var paths: @Sendable (_ pattern: String) -> [String]?
    /// Runs a command of `Match exec` to its end: the exit status, or nil when it did not end by itself.
    public var execute: @Sendable (_ command: String, _ shell: String) -> Int32?

    /// What an engine has: `-G` prints it, and lists of algorithms in files lose what it has not. By default nothing is
    /// known of it.
    public var algorithms: @Sendable (EngineChoice) -> EngineAlgorithms = { _ in EngineAlgorithms() }
    /// The addresses of this machine's interfaces, for `Match localnetwork`. By default none.
    public var addresses: @Sendable () -> [String] = { [] }
    /// Looks a host's name up, for CanonicalizeHostname. By default no name exists.
    public var lookUp: @Sendable (_ name: String, ConnectionOptions.AddressFamily) -> HostLookup = { _, _ in .notFound }
    /// Told at once, of what the user waits for. By default nobody hears it.
    public var tell: @Sendable (String) -> Void = { _ in }
    /// The files were read before, and what was good then is better than what comes of a failure now.
    public var isReadAgain = false

    public init(
        read: @escaping @Sendable (_ path: String) -> Result<File, Failure>,
        paths: @escaping @Sendable (_ pattern: String) -> [String]?,
        execute: @escaping @Sendable (_ command: String, _ shell: String) -> Int32?
    ) {
        self.read = read
        self.paths = paths
        self.execute = execute
    }

    /// The file system, the user's shell, and the network.
    public static let system = ConfigurationAccess.system { SystemFiles.execute($0, shell: $1) }

    /// The same, whose programs are ended after 30 s: for a process that is under way.
    public static let bounded = ConfigurationAccess.system { SystemFiles.execute($0, shell: $1, seconds: 30) }

    private static func system(
        execute: @escaping @Sendable (_ command: String, _ shell: String) -> Int32?
    ) -> ConfigurationAccess {
        var access = ConfigurationAccess(read: SystemFiles.read, paths: SystemFiles.paths, execute: execute)
        access.addresses = SystemNetwork.addresses
        access.lookUp = SystemNetwork.lookUp
        return access
    }

    /// Ends the programs of `bounded` that still run: the process is about to end.
    public static func endPrograms() { SystemFiles.endPrograms() }

    /// No file exists.
    public static let nothing = ConfigurationAccess(
        read: { _ in .failure(.missing) }, paths: { _ in [] }, execute: { _, _ in nil })
}
