import CulvertConfig
import CulvertPlan
import CulvertRelay

@testable import CulvertControl

/// A forward as `ssh -O forward` would send it.
func muxForward(_ flag: String, _ text: String) throws -> MuxForward {
    let kind: ForwardSpecification.Kind = flag == "-L" ? .local : flag == "-R" ? .remote : .dynamic
    guard let forward = MuxForward(try ForwardParser.parse(text, kind: kind)) else { throw NoForward() }
    return forward
}

struct NoForward: Error {}

let usual = ForwardingOptions.usual

/// SplitMix64: chances that can be had again from their seed.
struct Dice: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x2545_f491_4f6c_dd1d &+ 1 }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
