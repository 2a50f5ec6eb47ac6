public import CulvertIO
public import CulvertPlan

/// What may be asked of a running tunnel, from any thread: its forwards are added and cancelled, and it is told to end.
public struct TunnelControl: Sendable {
    let change: @Sendable (ForwardChange, @escaping @Sendable (ForwardAnswer) -> Void) -> Void
    let order: @Sendable () -> Void
    let ask: @Sendable (@escaping @Sendable (TunnelReport) -> Void) -> Void
    let handOver: @Sendable (Target, _ text: String, Parcel<BlockingSocket>, OpeningWatch) -> Void

    init(
        change: @escaping @Sendable (ForwardChange, @escaping @Sendable (ForwardAnswer) -> Void) -> Void,
        stop: @escaping @Sendable () -> Void,
        report: @escaping @Sendable (@escaping @Sendable (TunnelReport) -> Void) -> Void,
        carry: @escaping @Sendable (Target, _ text: String, Parcel<BlockingSocket>, OpeningWatch) -> Void
    ) {
        self.change = change
        order = stop
        ask = report
        handOver = carry
    }

    /// `answer` is called once, on a thread of the tunnel's, and must not wait; never, when the tunnel ends first.
    public func change(_ change: ForwardChange, answer: @escaping @Sendable (ForwardAnswer) -> Void) {
        self.change(change, answer)
    }

    /// What the tunnel has: told once, on a thread of the tunnel's, which must not wait; never, when the tunnel ends first.
    public func report(to answer: @escaping @Sendable (TunnelReport) -> Void) { ask(answer) }

    /// A connection that is to go to `target` through the tunnel, and ends as one that came in at a `-L`: its socket is
    /// closed when nothing becomes of it. `text` is for messages. `answer` is called once, on any thread, and must not wait:
    /// whether the target was reached.
    public func carry(
        _ socket: consuming BlockingSocket, to target: Target, text: String,
        answer: @escaping @Sendable (_ isOpen: Bool) -> Void
    ) {
        handOver(target, text, Parcel(socket), OpeningWatch(answer))
    }

    /// As SIGTERM: the process ends, and all that it carries by `--drain`.
    public func stop() { order() }
}

/// One of a process's tunnels, for those who may ask how it is.
public struct ShownTunnel: Sendable {
    /// In its file; of a command line's tunnel its destination.
    public let name: String
    /// Where its files lead now.
    public let destination: @Sendable () -> String
    public let control: TunnelControl
}

/// Makes all tunnels of a process known to those who may ask. Returns what takes that back.
public typealias ShowTunnels = ([ShownTunnel]) throws(ControlFailure) -> @Sendable () -> Void

/// Makes a tunnel known to those who may control it. Returns what takes that back, which may be called several times.
public typealias BeginControl = (TunnelControl) throws(ControlFailure) -> @Sendable () -> Void

/// Nobody can control the tunnel, although that was asked for: the process ends, as ssh does.
public struct ControlFailure: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// A change to a running tunnel's forwards.
public enum ForwardChange: Hashable, Sendable {
    /// It stays over reconnecting, for as long as the process lives. One that is there already is left as it is.
    case add(TunnelForward)
    /// Of those added or of the plan's. Nothing new comes in; connections that are open go on.
    case cancel(TunnelForward)
}

/// What became of a change, told once.
public enum ForwardAnswer: Hashable, Sendable {
    /// `port`: the one that was chosen, of an added forward that left the choice.
    case done(port: UInt16?)
    /// It was there before, and was left as it is.
    case isThere(port: UInt16?)
    /// Nothing has changed, and why.
    case failed(String)
}
