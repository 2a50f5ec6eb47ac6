internal import CulvertIO

/// What the connections of a run do.
struct Workload: Sendable {
    enum Kind: Sendable, Equatable {
        /// Payload as fast as it goes.
        case stream(StreamDirection)
        /// Requests over connections that stay, `depth` under way on each; or at a rate.
        case request(depth: Int)
        /// A connection for every request.
        case churn
        /// Connections that do nothing beside one that makes requests, one after the other.
        case idle
        /// Input events, each answered with a burst of updates.
        case vnc
        /// Queries, one after the other on each connection, or at a rate.
        case database
    }

    var kind: Kind
    var target: [SocketAddress]
    var connections = 1
    var threads = 1
    var seed: UInt64 = 1
    var duration = Tick.Span.seconds(10)
    var warmup = Tick.Span.seconds(1)
    /// A connection on which something is due and nothing has moved for so long is given up.
    var timeout = Tick.Span.seconds(10)
    var sizes = ExchangeSizes()
    /// Requests (or connections) a second of all threads together, whatever the answers do; nil: the next one when one
    /// is answered.
    var rate: Double?

    var role: Hello.Role {
        switch kind {
        case .stream(.up): .up
        case .stream(.down): .down
        case .stream(.both): .both
        case .request, .idle: .exchange
        case .churn: .single
        case .vnc: .vnc
        case .database: .database
        }
    }

    var exchanges: Bool { role.exchanges }

    /// Whether connections are made before the clock starts.
    var connectsFirst: Bool { kind != .churn }

    /// Requests that are kept under way on a connection whenever the rate is not given.
    func depth(_ connection: UInt32) -> Int {
        switch kind {
        case .request(let depth): rate == nil ? depth : 0
        case .database: rate == nil ? 1 : 0
        case .idle: connection == 0 ? 1 : 0
        case .stream, .churn, .vnc: 0
        }
    }

    func hello(_ connection: UInt32) -> Hello {
        Hello(role: role, connection: connection, seed: seed, sizes: exchanges ? sizes : nil)
    }
}

enum StreamDirection: String, CaseIterable, Sendable {
    case up, down, both
}

/// When requests are due at a given rate, on one thread of several: evenly spaced, and interleaved with the others'.
struct Schedule: Sendable {
    private let begin: UInt64
    private let number: Double
    private let threads: Double
    private let rate: Double
    private var taken: Double = 0

    init(begin: Tick, rate: Double, thread: Int, threads: Int) {
        self.begin = begin.nanoseconds
        self.rate = rate
        number = Double(thread)
        self.threads = Double(threads)
    }

    /// The next moment.
    var next: Tick { Tick(nanoseconds: begin + UInt64((taken * threads + number) / rate * 1e9)) }

    mutating func take() { taken += 1 }
}
