/*
 * tooth.c
 *		Teeth and their surfaces, by ISO 3950.
 */
#include "tooth.h"

#include "error.h"

/*
 * CheckTooth refuses a number that is no tooth; the table's domain would say so
 * too, but not as plainly.
 */
void
CheckTooth(int tooth)
{
	int quadrant = tooth / 10;
	int place = tooth % 10;

	if ((quadrant >= 1 && quadrant <= 4 && place >= 1 && place <= 8) ||
		(quadrant >= 5 && quadrant <= 8 && place >= 1 && place <= 5))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no tooth %d", tooth),
			 errdetail("ISO 3950 numbers permanent teeth 11 to 48 and deciduous "
					   "teeth 51 to 85."),
			 errhint("The first digit is the quadrant, the second the place "
					 "in it.")));
}

/*
 * CheckSurfaces refuses surfaces that a tooth does not have.
 */
void
CheckSurfaces(const char *surfaces, bool has_tooth, int tooth)
{
	const char *fault = NULL;
	const char *c;

	if (!has_tooth)
		fault = "Surfaces are those of a tooth, and none is given.";
	else if (surfaces[0] == '\0')
		fault = "No surface is named.";
	for (c = surfaces; *c != '\0' && fault == NULL; c++)
	{
		bool front = tooth % 10 <= 3;
		int quadrant = tooth / 10;

		if (strchr("MDOIBFVLP", *c) == NULL)
			fault = "Surfaces are letters of M D O I B F V L P.";
		else if (strchr(c + 1, *c) != NULL)
			fault = "A surface is named twice.";
		else if ((*c == 'O' || *c == 'B') && front)
			fault = "Incisors and canines have no occlusal or buccal surface.";
		else if ((*c == 'I' || *c == 'F') && !front)
			fault = "Premolars and molars have no incisal or facial surface.";
		else if (*c == 'P' && quadrant != 1 && quadrant != 2 && quadrant != 5 &&
				 quadrant != 6)
			fault = "Lower teeth have no palatal surface.";
	}
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("surfaces \"%.20s\" do not fit", surfaces),
				 errdetail("%s", fault),
				 errhint("For example MOD on a molar, MIP on an upper incisor.")));
}
