internal import Glibc

/// Where an engine's randomness comes from: cookies, padding, the secrets of key exchanges. The system's, unless a test
/// wants the same bytes in every run.
///
/// Nothing outside of this module can make a `reproducible` one, and nothing in it does: who knows the seed knows every
/// key.
struct RandomSource: RandomNumberGenerator, BitwiseCopyable {
    private enum Origin: BitwiseCopyable {
        case system
        /// SplitMix64 in this state.
        case stream(UInt64)
    }

    private var origin: Origin

    /// What is drawn is no secret.
    var isReproducible: Bool {
        switch origin {
        case .system: false
        case .stream: true
        }
    }

    private init(_ origin: Origin) { self.origin = origin }

    /// The system's.
    init() { self.init(.system) }

    /// For tests: the same for the same seed, and no secret.
    static func reproducible(seed: UInt64) -> RandomSource { RandomSource(.stream(seed)) }

    mutating func next() -> UInt64 {
        switch origin {
        case .system:
            var system = SystemRandomNumberGenerator()
            return system.next()
        case .stream(let state):
            let stepped = state &+ 0x9e37_79b9_7f4a_7c15
            origin = .stream(stepped)
            var mixed = stepped
            mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            return mixed ^ (mixed >> 31)
        }
    }

    /// A source of its own for a part that draws as it likes.
    mutating func split() -> RandomSource {
        switch origin {
        case .system: RandomSource()
        case .stream: RandomSource(.stream(next()))
        }
    }

    /// Fills memory, with few system calls.
    mutating func fill(_ memory: UnsafeMutableRawBufferPointer) {
        switch origin {
        case .system:
            // getentropy(3) gives at most 256 bytes at a time.
            for start in stride(from: 0, to: memory.count, by: 256) {
                let part = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: memory[start..<min(start + 256, memory.count)])
                let result = unsafe getentropy(part.baseAddress!, part.count)
                precondition(result == 0, "the kernel has randomness")
            }
        case .stream:
            for index in memory.indices { unsafe memory[index] = UInt8(truncatingIfNeeded: next()) }
        }
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) }
    }
}
