/// How a tunnel, and then the process, ends.
enum Ending: Equatable, Sendable {
    case asAsked
    /// As ssh: a connection, a login or a forward that failed.
    case connectionFailed
    /// The machine refused something that culvert cannot do without.
    case systemError
    /// A file that others wait for cannot be written.
    case cannotCreate
    /// Told to end while it was ending: nothing is waited for.
    case signalled(Int32)

    var exitStatus: Int32 {
        switch self {
        case .asAsked: 0
        case .connectionFailed: 255
        case .systemError: 71
        case .cannotCreate: 73
        case .signalled(let signal): 128 + signal
        }
    }
}
