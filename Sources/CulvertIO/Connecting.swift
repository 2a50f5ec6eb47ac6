internal import CLinux
internal import Glibc

extension BlockingSocket {
    /// One connection that is being made.
    private struct Attempt {
        /// The kernel's first repetition of a SYN follows it after a second (RFC 6298 §2.1), and none comes sooner after
        /// another.
        static let repeatPause = Tick.Span.seconds(1)
        /// The kernel's timer is not ours.
        static let margin = Tick.Span.milliseconds(250)

        let descriptor: Descriptor
        let address: SocketAddress
        /// Repetitions of its SYN that were granted.
        var repeats = 0
        /// When the next one must be granted.
        var asksAt: Tick

        init(_ descriptor: Descriptor, to address: SocketAddress, now: Tick) {
            self.descriptor = descriptor
            self.address = address
            asksAt = now + Tick.Span(nanoseconds: Self.repeatPause.nanoseconds - Self.margin.nanoseconds)
            SocketOption.setRepeats(descriptor, count: 1)
        }

        mutating func grantRepeat() {
            repeats += 1
            SocketOption.setRepeats(descriptor, count: repeats)
            asksAt = asksAt + Self.repeatPause
        }
    }

    /// Connects to whichever address answers first. When every address has been tried, all are tried again after a
    /// second each: so a path that comes back is used within a second of it, not at the next doubling of an old
    /// attempt's timer.
    ///
    /// `sources`: the address of each family to come from; empty: the system chooses.
    ///
    /// `mayKnock` is asked before every SYN, the kernel's repetitions included, and not where there is no way, which fails
    /// without one; TCP_SYNCNT keeps those few that this process is not there to give up, because it is stopped. Throws
    /// ETIMEDOUT at the deadline, which is put off by the wait for the first leave.
    public static func connect(
        toAnyOf addresses: [SocketAddress], from sources: [SocketAddress], deadline: Tick,
        mayKnock: (SocketAddress, Knock) -> KnockAnswer
    ) throws(IOError) -> BlockingSocket {
        func source(_ address: SocketAddress) -> SocketAddress? {
            sources.first { $0.isIPv6 == address.isIPv6 } ?? sources.first
        }
        var attempts: [Attempt] = []
        defer { for attempt in attempts { _ = culvert_close(attempt.descriptor) } }
        var dialler = Dialler(
            addresses, now: .current(), deadline: deadline, renewal: .seconds(1), failure: EADDRNOTAVAIL)
        while true {
            askForRepeats(&attempts, &dialler, mayKnock)
            // What sends nothing is no knock: while the network is away, the leave to knock is kept for its return.
            switch dialler.step(
                .current(), mayKnock: { $0.leadsNowhere(from: source($0)) ? .granted : mayKnock($0, .begins) })
            {
            case .failed(let error): throw IOError(error, "connect")
            case .connect(let address):
                var pending = false
                let made = address.connect(from: source(address), pending: &pending)
                if made >= 0, !pending { return BlockingSocket(adopting: Descriptor(made)) }
                if made >= 0 {
                    attempts.append(Attempt(Descriptor(made), to: address, now: .current()))
                } else {
                    dialler.attemptEnded(Int32(-made), now: .current())
                }
                // The eldest goes when there are many; its successors knock at the same door.
                if attempts.count > Dialler.maximumUnderWay {
                    _ = culvert_close(attempts.removeFirst().descriptor)
                    dialler.attemptEnded(nil, now: .current())
                }
            case .wait(let moment):
                let until = attempts.map(\.asksAt).reduce(moment, min)
                for descriptor in Wait.forWritable(attempts.map(\.descriptor), until: until) {
                    attempts.removeAll { $0.descriptor == descriptor }
                    let error = culvert_socket_error(descriptor)
                    if error == 0 { return BlockingSocket(adopting: descriptor) }
                    _ = culvert_close(descriptor)
                    // Nothing has answered as many SYNs as were granted: more may follow.
                    dialler.attemptEnded(error == -ETIMEDOUT ? nil : -error, now: .current())
                }
            }
        }
    }

    /// The kernel is about to repeat SYNs. Where it may not, the attempt is given up: TCP_SYNCNT cannot forbid the first
    /// repetition, and Linux 6.5 makes four more than it says (tcp_syn_linear_timeouts).
    private static func askForRepeats(
        _ attempts: inout [Attempt], _ dialler: inout Dialler, _ mayKnock: (SocketAddress, Knock) -> KnockAnswer
    ) {
        let now = Tick.current()
        var kept: [Attempt] = []
        for var attempt in attempts {
            if attempt.asksAt <= now {
                let isLate = attempt.asksAt + Attempt.margin <= now
                switch mayKnock(attempt.address, isLate ? .wasRepeated : .repeats) {
                case .granted: attempt.grantRepeat()
                case .notBefore, .never:
                    _ = culvert_close(attempt.descriptor)
                    dialler.attemptEnded(nil, now: now)
                    continue
                }
            }
            kept.append(attempt)
        }
        attempts = kept
    }
}
