/// Why a fixture or an observation failed, in words for the person who reads the test's output.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
