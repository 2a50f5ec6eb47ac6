internal import CulvertIO

/// A program at the beginning of a path. With the last reference it is ended.
protocol PathProgram: AnyObject, Sendable {
    /// How it ended, nil while it runs; waits for the end until the deadline.
    func ending(by deadline: Tick) -> ProxyProcess.Ending?
}

extension ProxyProcess: PathProgram {}

/// What a link runs over when that is not a TCP connection of its own: a ProxyCommand, links to jump hosts, or both.
/// Shared by every link of the path. The last of them to go ends the program.
final class LinkPath: Sendable {
    private let firstFailure = Guarded<String?>(nil)
    private let program = Guarded<(any PathProgram)?>(nil)

    /// Why the path has broken: the cause comes first, and what follows from it does not count.
    func fail(_ reason: String) {
        firstFailure.withLock { if $0 == nil { $0 = reason } }
    }

    func carry(over process: any PathProgram) { program.withLock { $0 = process } }

    /// The hop that broke the path, and why; nil while none has.
    var failure: String? { firstFailure.withLock { $0 } }

    /// How the program ended; nil while it runs, or where there is none. Waits for its end until the deadline.
    func programEnding(by deadline: Tick) -> String? {
        switch ending(by: deadline) {
        case .exited(let status)?: "the ProxyCommand ended with exit status \(status)"
        case .signalled(let signal)?: "the ProxyCommand was ended by signal \(signal)"
        case nil: nil
        }
    }

    /// The same as a value.
    func ending(by deadline: Tick) -> ProxyProcess.Ending? { program.withLock({ $0 })?.ending(by: deadline) }

    /// The reason that a link over this path gives for its end, as the path knows it better. Waits for nothing.
    func cause(of reason: String) -> String {
        failure ?? programEnding(by: Tick(nanoseconds: 0)) ?? reason
    }
}

/// A jump host's part of a path, as its worker knows it.
struct Hop: Sendable {
    /// "hop 1 of 2, user@bastion".
    let name: String
    /// Counted from this machine, from 0.
    let number: Int
    /// Where its channel goes: the next hop, or the destination.
    let host: String
    let port: UInt16
    let alive: KeepAlive
    let path: LinkPath
}
