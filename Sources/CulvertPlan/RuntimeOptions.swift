/// What the relay core runs on.
public struct RuntimeOptions: Hashable, Sendable {
    /// More pinned threads than any machine that culvert runs on has cores.
    public static let maximumThreads = 1024
    /// Below this a handful of windows alone would meet the ceiling.
    public static let minimumMemory = 16 << 20
    /// More than any machine that culvert runs on has, so that sums of it stay numbers.
    public static let maximumMemory = 1 << 40
    public static let defaultMemory = 256 << 20
    public static let defaultDrain = Duration.seconds(5)

    public var io: IOChoice
    /// At most this many workers; nil: as many as links and cores ask for.
    public var threads: Int?
    /// The ceiling of payload held in memory for slow readers, in bytes.
    public var memory: Int

    public init(io: IOChoice = .auto, threads: Int? = nil, memory: Int = defaultMemory) {
        self.io = io
        self.threads = threads
        self.memory = memory
    }
}

/// How workers are to talk to the kernel (`--io`).
public enum IOChoice: String, Hashable, Sendable, CaseIterable {
    /// io_uring where it can be had, epoll otherwise.
    case auto
    case uring, epoll
}

/// What is to speak SSH on the links (`--engine`).
public enum EngineChoice: String, Hashable, Sendable, CaseIterable {
    /// culvert's own: modern algorithms only, sealed and opened in place.
    case native
    /// For servers that speak only what libssh2 1.10 speaks.
    case libssh2
}
