/// Which of a host's addresses is tried when, until one answers ("happy eyeballs", RFC 8305). The families take turns, a
/// next attempt is begun while none has answered for a while, and an attempt that fails makes the next one begin at once.
/// A value: it holds no socket; who makes the attempts tells it of their ends. Whoever counts knocks is asked before each.
public struct Dialler: Sendable {
    /// What is to be done next.
    public enum Step: Equatable {
        case connect(SocketAddress)
        /// Attempts are under way, or the next one is not due: nothing before this moment.
        case wait(until: Tick)
        /// Nothing is left to be tried: the last attempt's error number.
        case failed(Int32)
    }

    /// The next address is tried when the one before has not answered for this long (RFC 8305 §5).
    public static let stagger = Tick.Span.milliseconds(250)
    /// As many attempts are under way at once; the eldest goes when there are more.
    public static let maximumUnderWay = 8

    private var addresses: [SocketAddress]
    /// Waiting for leave to knock for the first time is no trying: it is put off by as much.
    private var deadline: Tick
    /// Every address has been tried: they are tried again after this long, for a path that comes back. nil: never.
    private let renewal: Tick.Span?
    private var begun = 0
    private var ended = 0
    private var due: Tick
    private var failure: Int32
    /// The attempt that ended last was given up, and nothing was learned of its address.
    private var isUndecided = false

    /// `addresses` in the resolver's order. `failure`: what is said where there is none.
    public init(
        _ addresses: [SocketAddress], now: Tick, deadline: Tick, renewal: Tick.Span? = nil, failure: Int32
    ) {
        self.addresses = Self.alternated(addresses)
        self.deadline = deadline
        self.renewal = renewal
        self.failure = failure
        due = now
    }

    /// The first family first, then one of each in turn (RFC 8305 §4).
    static func alternated(_ addresses: [SocketAddress]) -> [SocketAddress] {
        guard let first = addresses.first else { return [] }
        let same = addresses.filter { $0.isIPv6 == first.isIPv6 }
        let other = addresses.filter { $0.isIPv6 != first.isIPv6 }
        var mixed: [SocketAddress] = []
        for index in 0..<max(same.count, other.count) {
            if index < same.count { mixed.append(same[index]) }
            if index < other.count { mixed.append(other[index]) }
        }
        return mixed
    }

    private var hasMore: Bool { begun < addresses.count || (renewal != nil && !addresses.isEmpty) }
    private var underWay: Int { begun - ended }

    /// `connect` counts as begun: `attemptEnded` follows when it fails. `mayKnock` is asked about the address first, and
    /// about the others of the round where it may not be knocked at yet.
    public mutating func step(_ now: Tick, mayKnock: (SocketAddress) -> KnockAnswer = { _ in .granted }) -> Step {
        guard now < deadline else {
            return .failed(underWay > 0 || isUndecided || failure == 0 ? Self.timedOut : failure)
        }
        // Every address has said no: that is an answer, and nothing that time would change.
        guard underWay > 0 || begun < addresses.count || (isUndecided && hasMore) else { return .failed(failure) }
        guard hasMore else { return .wait(until: deadline) }
        guard now >= due else { return .wait(until: min(due, deadline)) }
        var soonest = Tick.distantFuture
        let next = begun % addresses.count
        for position in next..<addresses.count {
            switch mayKnock(addresses[position]) {
            case .granted: return begin(position, insteadOf: next, now)
            case .never: return .failed(Self.cancelled)
            case .notBefore(let moment): soonest = min(soonest, max(moment, now + .milliseconds(1)))
            }
        }
        if begun == 0 { deadline = soonest + (deadline - now) }
        due = soonest
        return .wait(until: min(due, deadline))
    }

    private mutating func begin(_ position: Int, insteadOf next: Int, _ now: Tick) -> Step {
        let address = addresses.remove(at: position)
        addresses.insert(address, at: next)
        begun += 1
        let pause = begun < addresses.count ? Self.stagger : renewal ?? Self.stagger
        due = now + pause
        return .connect(address)
    }

    /// An attempt failed, or was given up by who made it (`error` nil). The next one is due at once.
    public mutating func attemptEnded(_ error: Int32?, now: Tick) {
        precondition(underWay > 0, "only what was begun ends")
        ended += 1
        isUndecided = error == nil
        guard let error else { return }
        failure = error
        due = min(due, now)
    }

    /// ETIMEDOUT.
    private static var timedOut: Int32 { 110 }
    /// ECANCELED.
    private static var cancelled: Int32 { 125 }
}
