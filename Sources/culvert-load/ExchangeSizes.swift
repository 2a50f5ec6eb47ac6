/// How long requests and answers are, and how many answers each request has.
struct ExchangeSizes: Equatable, Sendable, BitwiseCopyable {
    var requests: SizeDistribution
    var answers: SizeDistribution
    /// The last of them ends the exchange.
    var answersEach: UInt32 = 1

    static let maximumAnswers = 1000

    init(requests: SizeDistribution = .fixed(64), answers: SizeDistribution = .fixed(64), answersEach: UInt32 = 1) {
        self.requests = requests
        self.answers = answers
        self.answersEach = answersEach
    }

    // MARK: As a hello carries them

    static let none = [UInt32](repeating: 0, count: 10)

    var numbers: [UInt32] {
        [
            requests.low, requests.maximum, requests.spread, answers.low, answers.maximum, answers.spread,
            answers.bulkShare, answers.bulkSize, answersEach, 0,
        ]
    }

    /// nil when they are no sizes.
    init?(_ numbers: [UInt32], shapes: ArraySlice<UInt8>) {
        guard numbers.count == Self.none.count, numbers[9] == 0, shapes.count == 2,
            let first = shapes.first.flatMap(SizeDistribution.Shape.init(rawValue:)),
            let second = shapes.last.flatMap(SizeDistribution.Shape.init(rawValue:))
        else { return nil }
        requests = SizeDistribution(shape: first, low: numbers[0], maximum: numbers[1], spread: numbers[2])
        answers = SizeDistribution(
            shape: second, low: numbers[3], maximum: numbers[4], spread: numbers[5], bulkShare: numbers[6],
            bulkSize: numbers[7])
        answersEach = numbers[8]
        guard requests.isValid, answers.isValid, (1...UInt32(Self.maximumAnswers)).contains(answersEach) else {
            return nil
        }
    }
}

/// Where the pieces of one direction's payload end, one after the other: the requests, or the answers.
struct Pieces: Sendable, BitwiseCopyable {
    private let sizes: SizeDistribution
    private let key: UInt64
    /// Of the piece that is looked at.
    private(set) var number: UInt64 = 0
    /// The offset behind it.
    private(set) var end: UInt64

    init(_ sizes: SizeDistribution, seed: UInt64, connection: UInt32, _ direction: Pattern.Direction) {
        self.sizes = sizes
        key = SizeDistribution.key(seed: seed, connection: connection, direction: direction)
        end = sizes.size(0, key)
    }

    var isBulk: Bool { sizes.isBulk(number, key) }

    /// Looks at the next piece.
    mutating func advance() {
        number += 1
        end += sizes.size(number, key)
    }
}
