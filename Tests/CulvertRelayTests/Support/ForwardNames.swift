@testable import CulvertRelay

// A test's plan is its own, and so are its numbers: forward 0 is its first one.

extension DirectID: ExpressibleByIntegerLiteral {
    public init(integerLiteral index: Int) { self.init(index: index) }
}

extension ReverseID: ExpressibleByIntegerLiteral {
    public init(integerLiteral index: Int) { self.init(index: index) }
}
