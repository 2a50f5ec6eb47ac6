/// What is measured, again and again: `run`, each time after `prepare`, which is not counted.
public protocol Round: ~Copyable, SendableMetatype {
    mutating func prepare()
    mutating func run()
}

extension Round where Self: ~Copyable {
    public mutating func prepare() {}
}

/// A round that is set up, whatever its type.
public struct Rounds {
    public let prepare: () -> Void
    public let run: () -> Void

    @inlinable init(prepare: @escaping () -> Void, run: @escaping () -> Void) {
        self.prepare = prepare
        self.run = run
    }
}

/// Where a round lives while it is repeated.
@usableFromInline final class Place<Kept: Round & ~Copyable> {
    @usableFromInline var kept: Kept
    @inlinable init(_ kept: consuming Kept) { self.kept = kept }
}

/// A benchmark: its name, and how to set it up.
public struct Scenario: Sendable {
    /// Letters, digits and hyphens only: thresholds are files that are called so.
    public let name: String
    public let setUp: @Sendable () throws -> Rounds

    /// Inlinable: the round is made special where its type is known, as it would be in the product.
    @inlinable public init<Kept: Round & ~Copyable>(
        _ name: String, _ make: @escaping @Sendable () throws -> Kept
    ) {
        precondition(
            name.utf8.allSatisfy { $0 >= 97 && $0 <= 122 || $0 >= 48 && $0 <= 57 || $0 == 45 },
            "a benchmark's name is of small letters, digits and hyphens")
        self.name = name
        setUp = {
            let place = Place(try make())
            return Rounds(prepare: { place.kept.prepare() }, run: { place.kept.run() })
        }
    }
}

/// Ends the program: what is measured does not do what it is measured for.
public func giveUp(_ why: String) -> Never { fatalError(why) }
