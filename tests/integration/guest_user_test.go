//go:build guest

package integration

// The tests of whole systems are root's: they change the system, or become a user
// themselves.
func init() {
	for _, name := range []string{
		"TestAppArmor",
		"TestCheckBeforeUpdate",
		"TestDeviceWeight",
		"TestDockerUnderSystemd",
		"TestEveryResource",
		"TestExecBesideAnInnerHierarchy",
		"TestLimitsThatAreNotThere",
		"TestLowestMemoryLimit",
		"TestManyRunsLeaveNothing",
		"TestPodmanUnitThatNotifies",
		"TestPodmanUnits",
		"TestPodmanWithSELinux",
		"TestRaiseAHardLimit",
		"TestSELinux",
		"TestSELinuxLabelsThatThePolicyDoesNotKnow",
		"TestSELinuxWithoutAMountLabel",
		"TestScope",
		"TestScopesThatCannotBe",
		"TestSubordinateIDs",
		"TestTooLittleMemory",
		"TestUpdateEverything",
		"TestUserSession",
		"TestUserWithoutDelegation",
	} {
		needs[name] = needsRoot
	}
}
